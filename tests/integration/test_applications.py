# SPDX-License-Identifier: BSD-2-Clause
"""Real services behind weir and real clients before it, as one would set them up at home."""

import json
import pathlib
import os

import pytest

from lib.daemon import serving
from lib.program import curl, files_below

TOP = pathlib.Path(os.environ.get("WEIR_TOP", "."))


@pytest.fixture(scope="module")
def home(nginx, prometheus, certificates):
    (nginx.www / "page.html").write_text("<p>nginx behind weir</p>\n" * 200)
    (nginx.www / "range.bin").write_bytes(bytes(range(256)) * 40)
    text = f"""
        gzip on; access_log access.log;
        site a.test {{ tls_certificate {certificates['a']}; https_redirect off; proxy {nginx.url}; }}
        site prometheus.test {{ proxy {prometheus.url}; }}
    """
    with serving(text, modules=["tls", "gzip", "access-log"]) as weir:
        yield weir


def fetch(weir, certificates, target, *args, host="a.test", scheme="http"):
    port = weir.https_port if scheme == "https" else weir.http_port
    return curl("--cacert", certificates.path("ca.crt"), "--resolve", f"{host}:{port}:127.0.0.1", *args,
                f"{scheme}://{host}:{port}{target}").stdout


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nginx_by_curl_with_gzip(home, certificates, nginx, scheme):
    head = fetch(home, certificates, "/page.html", "-D", "-", "-o", "/dev/null", "--compressed", scheme=scheme)
    assert b" 200 " in head and b"content-encoding: gzip" in head.lower()
    page = fetch(home, certificates, "/page.html", "--compressed", scheme=scheme)
    assert page == (nginx.www / "page.html").read_bytes()


def test_conditional_requests_reach_nginx(home, certificates, folder):
    """RFC 9110 13: a validator that weir weakened is understood by the origin again."""
    for encoding in ([], ["--compressed"]):
        fetch(home, certificates, "/page.html", "--etag-save", folder / "etag", "-o", "/dev/null", *encoding)
        tag = (folder / "etag").read_text().strip()
        assert tag
        status = fetch(home, certificates, "/page.html", "-H", f"If-None-Match: {tag}", "-o", "/dev/null", "-w",
                       "%{http_code}", *encoding)
        assert status == b"304", tag


def test_ranges_of_nginx(home, certificates):
    """RFC 9110 14."""
    assert fetch(home, certificates, "/range.bin", "-r", "10-19") == bytes(range(10, 20))
    parts = fetch(home, certificates, "/range.bin", "-r", "0-1,5-6", "-D", "-")
    assert b" 206 " in parts and b"multipart/byteranges" in parts


def test_redirects_of_nginx_are_followed(home, certificates):
    page = fetch(home, certificates, "/moved", "-L", "--max-redirs", "1", "-o", "/dev/null", "-w", "%{http_code}")
    assert page == b"200"


def test_many_requests_over_one_connection_of_curl(home, certificates):
    port = home.http_port
    done = curl("--resolve", f"a.test:{port}:127.0.0.1", "-o", "/dev/null", "-w", "%{http_code} %{num_connects}\n",
                f"http://a.test:{port}/page.html?[1-20]")
    lines = done.stdout.decode().split("\n")[:20]
    assert lines[0] == "200 1" and set(lines[1:]) == {"200 0"}


def test_upload_to_nginx_by_curl(home, certificates, nginx, folder):
    others = files_below(nginx.bodies)
    (folder / "up.bin").write_bytes(os.urandom(3_000_000))
    assert fetch(home, certificates, "/sink/", "-T", folder / "up.bin", "-w", "%{http_code}", scheme="https") == b"204"
    arrived = files_below(nginx.bodies) - others
    assert [path.read_bytes() for path in arrived] == [(folder / "up.bin").read_bytes()]
    for path in arrived:
        path.unlink()


def test_expect_100_continue_of_curl(home, certificates, nginx, folder):
    (folder / "up.bin").write_bytes(b"x" * 100_000)
    status = fetch(home, certificates, "/sink/", "-T", folder / "up.bin", "-H", "Expect: 100-continue",
                   "--expect100-timeout", "20", "-o", "/dev/null", "-w", "%{http_code} %{time_total}")
    code, seconds = status.split()
    assert code == b"204" and float(seconds) < 10
    for path in files_below(nginx.bodies):
        path.unlink()


def test_nginx_that_hangs_up_is_502(home, certificates):
    assert fetch(home, certificates, "/drop", "-o", "/dev/null", "-w", "%{http_code}") == b"502"


def test_prometheus(home, certificates):
    """Its API and its own pages, compressed by whichever of the two does it."""
    answer = fetch(home, certificates, "/api/v1/query?query=vector(42)", "--compressed", host="prometheus.test")
    assert json.loads(answer)["data"]["result"][0]["value"][1] == "42"
    assert b"go_goroutines" in fetch(home, certificates, "/metrics", "--compressed", host="prometheus.test")
    answer = fetch(home, certificates, "/api/v1/query", "-d", "query=vector(7)", host="prometheus.test")
    assert json.loads(answer)["data"]["result"][0]["value"][1] == "7"
