# SPDX-License-Identifier: BSD-2-Clause
"""`files`: what a browser, a download manager and an attacker ask of a folder."""

import email.utils
import gzip
import os
import re
import socket
import time

import pytest

from lib.daemon import serving
from lib.message import Closed
from lib.patience import eventually
from lib.program import curl

TEXT = b"0123456789" * 1000
LONG_AGO = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"

CONFIG = """
site a.test {{
    files {www};
    route /static/ {{ files {www}; }}
    route /bare {{ files {www}/sub; }}
    route = /one {{ files {www}/text.txt; }}
    route = /gone {{ files {www}/gone.txt; }}
    route ~ ^/sub/deep/ {{ files {www}; }}
    route /app/ {{ files {www}/app index=start.htm; }}
    route /current/ {{ files {www}/../current; }}
    route /zip/ {{ files {www}; gzip on; gzip_types text/plain; gzip_min_length 1; }}
}}
site tls.test {{ files {www}; tls_certificate internal; }}
"""


def put(path, content=b"", when=LONG_AGO):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (when, when))


def lay_out(www):
    put(www / "index.html", b"<title>home</title>")
    put(www / "text.txt", TEXT)
    put(www / "empty.txt")
    put(www / "no-ending", b"?")
    put(www / "with space+plus%.txt", b"odd")
    put(www / "back\\slash", b"odd")
    put(www / "sub/index.html", b"<title>sub</title>")
    put(www / "sub/deep/a.css", b"a{}")
    put(www / "app/start.htm", b"<title>app</title>")
    put(www / "app/index.html", b"not this one")
    put(www / "noindex/a.txt", b"a")
    put(www / ".git/config", b"secret")
    put(www / ".htpasswd", b"secret")
    put(www / "sub/.env", b"secret")
    put(www / ".well-known/security.txt", b"Contact: x")
    put(www / "sub/.well-known/x", b"secret")
    put(www.parent / "outside/secret.txt", b"secret")
    put(www.parent / "release-1/a.txt", b"one")
    put(www.parent / "release-2/a.txt", b"two")
    (www.parent / "current").symlink_to("release-1")
    (www / "inside.txt").symlink_to("sub/../text.txt")
    (www / "outside.txt").symlink_to("../outside/secret.txt")
    (www / "absolute.txt").symlink_to(www.parent / "outside/secret.txt")
    (www / "outside").symlink_to("../outside")
    (www / "round").symlink_to("round")
    (www / "dangling").symlink_to("nothing")
    os.mkfifo(www / "fifo")
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(www / "socket"))
    sock.close()


@pytest.fixture(scope="module")
def www(session_folder):
    path = session_folder / "files" / "www"
    path.mkdir(parents=True)
    lay_out(path)
    return path


@pytest.fixture(scope="module")
def files(www):
    with serving(CONFIG.format(www=www), modules=("gzip", "tls")) as weir:
        yield weir


def etag_of(files, target="/text.txt"):
    return files.get(target).get("ETag")


# -- whole files ---------------------------------------------------------------------------------------------------


def test_a_file(files):
    response = files.get("/text.txt")
    assert (response.status, response.body) == (200, TEXT)
    assert response.get("Content-Type") == "text/plain; charset=utf-8"
    assert response.get("Content-Length") == str(len(TEXT))
    assert response.get("Last-Modified") == DATE
    assert response.get("Accept-Ranges") == "bytes"
    assert re.fullmatch(r'"[0-9a-f.-]+"', response.get("ETag"))


def test_head_has_the_fields_of_get(files):
    client = files.connect()
    whole = client.get("/text.txt")
    head = client.request("HEAD", "/text.txt").response(to="HEAD")
    assert [name for name in head.fields if name[0] != "Date"] == [name for name in whole.fields if name[0] != "Date"]
    assert client.get("/no-ending").body == b"?"


@pytest.mark.parametrize("target, status, body", [
    ("/", 200, b"<title>home</title>"),
    ("/index.html", 200, b"<title>home</title>"),
    ("/empty.txt", 200, b""),
    ("/no-ending", 200, b"?"),
    ("/with%20space+plus%25.txt", 200, b"odd"),
    ("/sub/", 200, b"<title>sub</title>"),
    ("//sub///deep//a.css", 200, b"a{}"),  # through the pattern's route: nothing is taken off
    ("/static/sub/deep/a.css", 200, b"a{}"),
    ("/static/", 200, b"<title>home</title>"),
    ("/bare/deep/a.css", 200, b"a{}"),
    ("/bare/", 200, b"<title>sub</title>"),
    ("/barely", 404, None),
    ("/bareindex.html", 404, None),
    ("/one", 200, TEXT),
    ("/gone", 404, None),
    ("/app/", 200, b"<title>app</title>"),
    ("/noindex/", 404, None),
    ("/nothing", 404, None),
    ("/nothing/", 404, None),
    ("/text.txt/", 404, None),
    ("/text.txt/x", 404, None),
    ("/" + "x" * 300, 404, None),
    ("/" + "x/" * 3000, 404, None),
    ("/text.txt?v=1", 200, TEXT),
])
def test_names(files, target, status, body):
    response = files.get(target)
    assert response.status == status
    if body is not None:
        assert response.body == body


def test_a_folder_without_its_slash_is_sent_to_it(files):
    for target, location in [("/sub", "/sub/"), ("/sub?a=b&c", "/sub/?a=b&c"), ("/bare", "/bare/"),
                             ("//static//sub", "/static/sub/"), ("/noindex", "/noindex/")]:
        response = files.get(target)
        assert (response.status, response.get("Location")) == (301, location)


def test_methods(files):
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"):
        response = files.connect().request(method, "/text.txt").response()
        assert (response.status, response.get("Allow")) == (405, "GET, HEAD")


@pytest.mark.parametrize("name, media_type", [
    ("/", "text/html; charset=utf-8"), ("/sub/deep/a.css", "text/css; charset=utf-8"),
    ("/no-ending", "application/octet-stream"), ("/one", "text/plain; charset=utf-8"),
])
def test_media_types(files, name, media_type):
    assert files.get(name).get("Content-Type") == media_type


# -- what is not shown ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [
    "/../outside/secret.txt", "/..%2foutside/secret.txt", "/%2e%2e/outside/secret.txt",
    "/%2e%2e%2foutside%2fsecret.txt",
    "/sub/../../outside/secret.txt", "/sub/..%2f..%2foutside/secret.txt", "/static/../../outside/secret.txt",
    "/static../outside/secret.txt", "/bare../outside/secret.txt", "/..%5coutside%5csecret.txt",
    "/..\\outside\\secret.txt", "/sub%2fdeep%2fa.css", "/text.txt%00", "/text.txt%00.html", "/%00", "/text.txt%0a",
    "/back%5cslash", "/.git/config", "/.htpasswd", "/%2ehtpasswd", "/sub/.env", "/sub/%2Eenv", "/sub/.well-known/x",
    "/static/.git/config", "/bare/.env", "/.git/", "/.git", "/...", "/..%c0%afoutside/secret.txt",
    "/outside.txt", "/absolute.txt", "/outside/secret.txt", "/outside/", "/outside", "/round", "/dangling",
    "/fifo", "/socket",
])
def test_nothing_leads_out(files, target):
    client = files.connect()
    client.send(f"GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode("latin-1"))
    response = client.response()
    assert response.status in (400, 404) and b"secret" not in response.body and response.body != b"a{}"


def test_links_that_stay_inside_are_followed(files):
    assert files.get("/inside.txt").body == TEXT


def test_well_known_names_are_shown(files):
    assert files.get("/.well-known/security.txt").body == b"Contact: x"


def test_a_file_that_may_not_be_read(files, www):
    put(www / "closed.txt", b"closed")
    (www / "closed.txt").chmod(0)
    try:
        expected = (200,) if os.geteuid() == 0 else (403,)
        assert files.get("/closed.txt").status in expected
    finally:
        (www / "closed.txt").unlink()


def test_the_folder_may_be_exchanged_without_a_reload(files, www):
    link = www.parent / "current"
    assert files.get("/current/a.txt").body == b"one"
    fresh = www.parent / "fresh"
    fresh.symlink_to("release-2")
    fresh.rename(link)
    assert files.get("/current/a.txt").body == b"two"
    fresh.symlink_to("release-1")
    fresh.rename(link)


# -- conditions ----------------------------------------------------------------------------------------------------


def test_conditions(files):
    etag = etag_of(files)
    later = email.utils.formatdate(LONG_AGO + 60, usegmt=True)
    for fields, status in [
        ([f"If-None-Match: {etag}"], 304), ([f'If-None-Match: "x", W/{etag}'], 304), (["If-None-Match: *"], 304),
        (['If-None-Match: "x"'], 200), ([f"If-Modified-Since: {DATE}"], 304), ([f"If-Modified-Since: {later}"], 304),
        (["If-Modified-Since: Sun Nov  6 08:49:36 1994"], 200), ([f"If-Match: {etag}"], 200), (['If-Match: "x"'], 412),
        ([f"If-Match: W/{etag}"], 412), ([f"If-Unmodified-Since: {DATE}"], 200),
        (["If-Unmodified-Since: Sunday, 06-Nov-94 08:49:36 GMT"], 412),
        (['If-None-Match: "x"', f"If-Modified-Since: {later}"], 200),
        ([f"If-None-Match: {etag}", "Range: bytes=0-1"], 304), (['If-Match: "x"', "Range: bytes=0-1"], 412),
    ]:
        for method in ("GET", "HEAD"):
            answer = status
            response = files.connect().request(method, "/text.txt", *fields).response(to=method)
            assert response.status == answer, (method, fields)


def test_304_has_no_length_of_its_own(files):
    """RFC 9110 8.6, 15.4.5."""
    client = files.connect()
    response = client.get("/text.txt", f"If-None-Match: {etag_of(files)}")
    assert response.status == 304 and response.has("ETag") and response.has("Date")
    assert not response.has("Content-Length") and not response.has("Content-Type")
    assert client.get("/no-ending").status == 200


def test_a_file_written_just_now_has_a_weak_tag(files, www):
    """It may change again without its time changing."""
    put(www / "fresh.txt", b"fresh", when=time.time())
    assert files.get("/fresh.txt").get("ETag").startswith('W/"')
    put(www / "fresh.txt", b"fresh", when=time.time() + 3600)
    response = files.get("/fresh.txt")
    assert response.get("ETag").startswith('W/"')
    modified, date = (email.utils.parsedate_to_datetime(response.get(name)) for name in ("Last-Modified", "Date"))
    assert modified <= date


def test_another_file_in_its_place_has_another_tag(files, www):
    put(www / "swap.txt", b"aaaa")
    before = etag_of(files, "/swap.txt")
    put(www / "swap.new", b"bbbb")
    (www / "swap.new").rename(www / "swap.txt")
    assert etag_of(files, "/swap.txt") != before


# -- ranges --------------------------------------------------------------------------------------------------------


def parts_of(response):
    """[(Content-Range, Content-Type, bytes)] of a multipart/byteranges answer, read strictly."""
    boundary = re.fullmatch(r"multipart/byteranges; boundary=([0-9a-f]+)", response.get("Content-Type"))[1].encode()
    body = b"\r\n" + response.body
    assert body.endswith(b"\r\n--" + boundary + b"--\r\n")
    found = []
    for part in body[: -len(boundary) - 8].split(b"\r\n--" + boundary + b"\r\n")[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        found.append((fields["Content-Range"], fields["Content-Type"], content))
    return found


@pytest.mark.parametrize("wanted, first, last", [
    ("0-0", 0, 0), ("0-9999", 0, 9999), ("1-", 1, 9999), ("-1", 9999, 9999), ("-20000", 0, 9999),
    ("9990-20000", 9990, 9999), ("5-6,7-8", 5, 8), ("20000-,3-4", 3, 4),
])
def test_one_range(files, wanted, first, last):
    response = files.get("/text.txt", f"Range: bytes={wanted}")
    assert (response.status, response.body) == (206, TEXT[first: last + 1])
    assert response.get("Content-Range") == f"bytes {first}-{last}/10000"
    assert response.get("Content-Type") == "text/plain; charset=utf-8" and response.has("ETag")


def test_several_ranges(files):
    response = files.get("/text.txt", "Range: bytes=5000-5009, 0-9, -10, 20000-")
    assert response.status == 206 and not response.has("Content-Range")
    assert parts_of(response) == [(f"bytes {a}-{b}/10000", "text/plain; charset=utf-8", TEXT[a: b + 1])
                                  for a, b in [(5000, 5009), (0, 9), (9990, 9999)]]


def test_ranges_nobody_can_meet(files):
    response = files.get("/text.txt", "Range: bytes=10000-")
    assert (response.status, response.get("Content-Range")) == (416, "bytes */10000")


@pytest.mark.parametrize("target, field", [
    ("/text.txt", "Range: bytes=2-1"), ("/text.txt", "Range: lines=1-2"), ("/text.txt", "Range: bytes=x"),
    ("/empty.txt", "Range: bytes=0-"), ("/text.txt", "Range: bytes=0-0\r\nRange: bytes=1-1"),
    ("/text.txt", "Range: bytes=" + ",".join(f"{i * 200}-{i * 200}" for i in range(33))),
])
def test_ranges_that_are_passed_over(files, target, field):
    response = files.get(target, *field.split("\r\n"))
    assert (response.status, response.body) == (200, TEXT if target == "/text.txt" else b"")


def test_head_has_no_ranges(files):
    """RFC 9110 14.2: Range is defined for GET alone."""
    response = files.connect().request("HEAD", "/text.txt", "Range: bytes=0-0").response(to="HEAD")
    assert (response.status, response.get("Content-Length")) == (200, "10000")


def test_if_range(files):
    etag = etag_of(files)
    for validator, status in [(etag, 206), (f"W/{etag}", 200), ('"x"', 200), (DATE, 206),
                              (email.utils.formatdate(LONG_AGO + 1, usegmt=True), 200)]:
        response = files.get("/text.txt", "Range: bytes=0-0", f"If-Range: {validator}")
        assert response.status == status, validator


def test_curl_takes_up_a_broken_download(files, www, folder):
    begun = folder / "text.txt"
    begun.write_bytes(TEXT[:1234])
    curl("-C", "-", "-o", begun, "-H", "Host: a.test", f"http://127.0.0.1:{files.http_port}/text.txt")
    assert begun.read_bytes() == TEXT
    done = curl("-r", "0-1,9000-9001", "-H", "Host: a.test", f"http://127.0.0.1:{files.http_port}/text.txt")
    assert done.stdout.count(b"Content-Range: bytes") == 2


# -- other ways out ------------------------------------------------------------------------------------------------


def test_through_gzip(files):
    response = files.get("/zip/text.txt", "Accept-Encoding: gzip")
    assert response.get("Content-Encoding") == "gzip" and gzip.decompress(response.body) == TEXT
    assert response.get("ETag").startswith("W/") and not response.has("Accept-Ranges")
    again = files.get("/zip/text.txt", "Accept-Encoding: gzip", f"If-None-Match: {response.get('ETag')}")
    assert again.status == 304
    assert files.get("/zip/text.txt").body == TEXT


def test_through_tls(files, folder, www):
    big = os.urandom(3 << 20)
    put(www / "big.bin", big)
    out = folder / "out"
    curl("-k", "-o", out, "--resolve", f"tls.test:{files.https_port}:127.0.0.1",
         f"https://tls.test:{files.https_port}/big.bin")
    assert out.read_bytes() == big
    done = curl("-k", "-o", out, "-r", "1000000-2999999", "--resolve", f"tls.test:{files.https_port}:127.0.0.1",
                f"https://tls.test:{files.https_port}/big.bin", "-w", "%{http_code}")
    assert done.stdout == b"206" and out.read_bytes() == big[1000000:3000000]


def shrink_while_sent(files, www, target, *fields):
    """The file loses its second half while the client has read little; what the client then sees."""
    path = www / "shrinking.bin"
    put(path, os.urandom(1 << 20) * 32)
    client = files.connect(receive_buffer=16384)
    client.request("GET", target, *fields)
    client.head()
    os.truncate(path, 1 << 20)
    return client


def test_a_file_that_shrinks_while_it_is_sent_ends_the_connection(files, www):
    client = shrink_while_sent(files, www, "/shrinking.bin")
    try:
        assert len(client.to_end()) < 32 << 20
    except Closed as end:
        assert len(end.data) < 32 << 20
    assert files.get("/text.txt").status == 200


def test_a_file_that_shrinks_behind_gzip_ends_the_connection(files, www):
    put(www / "shrinking.txt", b"")
    os.truncate(www / "shrinking.txt", 1 << 36)
    client = files.connect(receive_buffer=16384)
    head = client.request("GET", "/zip/shrinking.txt", "Accept-Encoding: gzip").head()
    assert head.get("Content-Encoding") == "gzip"
    os.truncate(www / "shrinking.txt", 1 << 20)
    try:
        data = client.to_end()
    except Closed as end:
        data = end.data
    assert not data.endswith(b"0\r\n\r\n")
    assert files.get("/text.txt").status == 200


def descriptors(weir):
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in weir.servers())


def test_no_descriptor_is_left(files, www):
    put(www / "large.bin", b"")
    os.truncate(www / "large.bin", 1 << 30)
    files.get("/text.txt")
    for client in files.clients:
        client.close()
    eventually(lambda: files.status()["connections"] == 0, "connections are over")
    before = descriptors(files)
    for _ in range(20):
        files.get("/sub")
        files.get("/text.txt", "Range: bytes=0-0,5000-5001")
        files.get("/text.txt", "If-None-Match: *")
        files.get("/text.txt", "Range: bytes=20000-")
        files.get("/nothing")
        files.get("/.git/config")
        client = files.connect(receive_buffer=16384)
        client.request("GET", "/large.bin").head()
        client.reset()
    eventually(lambda: descriptors(files) <= before, f"{before} descriptors again, not {descriptors(files)}")
