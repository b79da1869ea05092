# SPDX-License-Identifier: BSD-2-Clause
"""weir_fetch: a module's own requests, through a module that asks an upstream before it answers."""

import os
import pathlib
import subprocess

import pytest

from lib.daemon import serving
from lib.origin import AnsweringOrigin
from lib.patience import eventually

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="module")
def asker(session_folder):
    target = session_folder / "asker.so"
    made = subprocess.run([*os.environ.get("CC", "cc").split(), "-shared", "-fPIC", "-O1", "-Wall", "-Wl,-z,defs",
                           f"-I{HERE.parents[1]}/sdk/include", "-o", target, HERE / "modules" / "asker.c"],
                          capture_output=True, text=True, timeout=120)
    assert made.returncode == 0 and not made.stderr, made.stderr
    return target


def answer(request):
    path = request.target
    if path.startswith("/large"):
        return b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70000
    if path.startswith("/huge"):
        return b"HTTP/1.1 200 OK\r\nContent-Length: 6000000\r\n\r\n" + b"x" * 6_000_000
    if path.startswith("/chunked"):
        return (b"HTTP/1.1 401 Unauthorized\r\nX-Answer: no\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    if path.startswith("/broken"):
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nno chunk\r\n"
    if path.startswith("/odd"):
        return b"HTTP/9 what\r\n\r\n"
    return b"HTTP/1.1 200 OK\r\nX-Answer: yes\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture(scope="module")
def asking(asker):
    origin = AnsweringOrigin(answer)
    routes = "".join(f"route /{name} {{ ask {url}; respond 204; }}\n" for name, url in {
        "plain": origin.url, "path": f"{origin.url}/from/url", "target": f"{origin.url} target=/a?b=c",
        "head": f"{origin.url} method=HEAD", "post": f"{origin.url} method=POST content=data",
        "chunked": f"{origin.url} target=/chunked", "large": f"{origin.url} target=/large",
        "larger": f"{origin.url} target=/large limit=100k", "huge": f"{origin.url} target=/huge limit=8m size",
        "broken": f"{origin.url} target=/broken",
        "odd": f"{origin.url} target=/odd", "nobody": "http://127.0.0.1:1", "client": f"{origin.url} client",
        "down": "gone"}.items())
    try:
        text = f"module {asker}; upstream gone {{ server 127.0.0.1:1 down; }} site a.test {{ {routes} }}"
        with serving(text) as weir:
            weir.origin = origin
            yield weir
    finally:
        origin.stop()


@pytest.mark.parametrize("path, text", [
    ("/plain", b"200 fine yes hello"), ("/head", b"200 fine yes "), ("/post", b"200 fine yes hello"),
    ("/chunked", b"401 fine no abcde"), ("/large", b"0 answer too large - "),
    ("/larger", b"200 fine - " + b"x" * 70000), ("/huge", b"200 fine - 6000000")])
def test_answers(asking, path, text):
    assert asking.get(path).body == text


@pytest.mark.parametrize("path", ["/broken", "/odd", "/nobody", "/down"])
def test_what_is_no_answer_has_a_reason(asking, path):
    response = asking.get(path)
    assert response.status == 200 and response.body.startswith(b"0 ") and not response.body.startswith(b"0 fine")


def last(asking, path, *fields):
    asking.origin.forget()
    asking.get(path, *fields)
    return asking.origin.requests[-1]


def test_what_the_upstream_is_asked(asking):
    request = last(asking, "/plain")
    assert (request.method, request.target) == ("GET", "/")
    assert request.get("X-Asked") == "/plain" and request.get("Host").endswith(str(asking.origin.port))
    assert not request.has("X-Forwarded-For") and request.has("X-Request-ID")
    assert last(asking, "/path").target == "/from/url"
    assert last(asking, "/target").target == "/a?b=c"
    assert last(asking, "/post").get("Content-Length") == "4"


def test_for_a_client_the_forwarding_fields_are_the_clients(asking):
    request = last(asking, "/client", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: forged")
    assert request.get("X-Forwarded-For") == "127.0.0.1"
    assert request.get("X-Forwarded-Host").startswith("a.test") and request.get("X-Forwarded-Proto") == "http"


def test_an_answer_that_does_not_come(weir, asker, origin):
    one = weir(f"module {asker}; site a.test {{ ask {origin.url} timeout=300ms; respond 204; }}")
    client = one.connect()
    client.request()
    taken = origin.take()
    taken.request()
    assert client.response().body == b"0 no answer in time - "
    assert taken.is_closed()


def test_a_client_that_goes_cancels_what_was_asked(weir, asker, origin):
    one = weir(f"module {asker}; site a.test {{ ask {origin.url}; respond 204; }}")
    client = one.connect()
    client.request()
    taken = origin.take()
    taken.request()
    client.close()
    assert taken.is_closed()
    eventually(lambda: one.status()["connections"] == 0, "the connection to be gone")


def test_a_request_asks_by_the_configuration_it_began_with(weir, asker, origin):
    one = weir(f"module {asker}; module headers; upstream old {{ server 127.0.0.1:{origin.port}; balance hash "
               f"$asker_heard$uri; }} site a.test {{ ask old twice; respond 204; }}")
    client = one.connect()
    client.request()
    taken = origin.take()
    taken.request()
    one.reload(f"module {asker}; site a.test {{ respond 204; }}")
    taken.reply(body=b"first")
    taken.request()
    taken.reply(body=b"hello")
    assert client.response().body == b"200 fine - hello"
    assert one.get("/").status == 204
    eventually(lambda: one.status()["snapshots_alive"] == 1, "the former configuration to be gone")


def test_a_stop_ends_what_is_under_way(weir, asker, origin):
    one = weir(f"shutdown_timeout 1s; module {asker}; ask_always {origin.url}; site a.test {{ ask {origin.url}; }}")
    client = one.connect()
    client.request()
    origin.take()
    one.stop()


def test_a_module_asks_on_its_own(weir, asker, answering):
    first, second = answering(answer), answering(answer)
    text = "module {}; ask_always {}; site a.test {{ respond 200 $asker_heard; }}"
    one = weir(text.format(asker, first.url))
    eventually(lambda: int(one.get("/").body) >= 3, "answers")
    one.reload(text.format(asker, second.url))
    eventually(lambda: len(second.requests) >= 3, "the new upstream to be asked")
    assert not second.requests[0].has("X-Forwarded-For")
