# SPDX-License-Identifier: BSD-2-Clause
"""Requests by the letter of RFC 9110 and 9112, where docs/conformance.md names this file: what a hop adds, takes
away, answers by itself, and what never reaches an origin whatever bytes stand where."""

import re

import pytest

from conftest import Stage
from lib.daemon import Weir, serving
from lib.message import Closed, Response
from lib.origin import AnsweringOrigin, Origin

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED_OK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"


def get(*lines, first="GET / HTTP/1.1", host="a"):
    return "".join(line + "\r\n" for line in [first, f"Host: {host}", *lines, ""]).encode()


def refused(stage, sent, status):
    """One answer, said to be the last, nothing at the origin."""
    client = stage.client()
    client.send(sent)
    response = client.response()
    assert response.status == status
    assert stage.origin.is_quiet(0.05)
    return client, response


# -- Via, Max-Forwards, TRACE ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version, fields, seen", [
    ("1.1", [], ["1.1 weir"]),
    ("1.0", [], ["1.0 weir"]),
    ("1.1", ["Via: 1.0 fred, 1.1 example.com (Apache)"], ["1.0 fred, 1.1 example.com (Apache)", "1.1 weir"]),
    ("1.1", ["Via: 1.1 a", "via: 2 b"], ["1.1 a", "2 b", "1.1 weir"]),
    ("1.1", ["Via: " + ", ".join(["1.1 weir"] * 9)], [", ".join(["1.1 weir"] * 9), "1.1 weir"]),
])
def test_via_names_this_hop_last(stage, version, fields, seen):
    """RFC 9110 7.6.3: with the version that the request came in."""
    request, _ = stage.exchange(stage.client(), get(*fields, first=f"GET / HTTP/{version}"), OK)
    assert request.all("Via") == seen


def test_via_of_an_answer_stays_as_it_is(stage):
    """RFC 9110 7.6.3: a gateway may leave itself out of responses, and weir does."""
    _, response = stage.exchange(stage.client(), get(), b"HTTP/1.1 200 OK\r\nVia: 1.1 x\r\nContent-Length: 0\r\n\r\n")
    assert response.all("Via") == ["1.1 x"]


@pytest.mark.parametrize("fields", [["Via: " + ", ".join(["1.1 weir"] * 10)], ["Via: 1.1 WEIR (x), 1.0 other"] * 10])
def test_a_loop_ends(stage, fields):
    """RFC 9110 7.6.3: ten times through a weir is no chain of proxies."""
    refused(stage, get(*fields), 508)
    assert "goes round in circles" in stage.weir.log()


@pytest.mark.parametrize("method, sent, seen", [("OPTIONS", "3", "2"), ("OPTIONS", "1", "0"), ("OPTIONS", "007", "6"),
                                                ("GET", "0", "0"), ("PUT", "x", "x")])
def test_max_forwards_counts_down(stage, method, sent, seen):
    """RFC 9110 7.6.2: for OPTIONS (and TRACE, which does not pass); other methods' is not looked at."""
    request, _ = stage.exchange(stage.client(), get(f"Max-Forwards: {sent}", first=f"{method} / HTTP/1.1"), OK)
    assert request.get("Max-Forwards") == seen


@pytest.mark.parametrize("target", ["*", "/x"])
def test_the_last_recipient_answers_options(stage, target):
    """RFC 9110 7.6.2, 9.3.7: at 0 the request ends here, with a length and Allow."""
    _, response = refused(stage, get("Max-Forwards: 0", first=f"OPTIONS {target} HTTP/1.1"), 200)
    assert response.get("Content-Length") == "0" and "OPTIONS" in response.get("Allow")


@pytest.mark.parametrize("fields", [["Max-Forwards: x"], ["Max-Forwards: -1"], ["Max-Forwards:"],
                                    ["Max-Forwards: 1", "Max-Forwards: 2"]])
def test_a_count_that_is_none_is_refused(stage, fields):
    refused(stage, get(*fields, first="OPTIONS / HTTP/1.1"), 400)


@pytest.mark.parametrize("fields", [[], ["Max-Forwards: 0"], ["Max-Forwards: 5"]])
def test_trace_is_refused(stage, fields):
    """RFC 9110 9.3.8, 15.5.6: it would show the client's credentials; 405 says what is allowed instead."""
    _, response = refused(stage, get("Cookie: secret=1", "Authorization: Basic c2VjcmV0", *fields,
                                     first="TRACE / HTTP/1.1"), 405)
    assert "TRACE" not in response.get("Allow") and "GET" in response.get("Allow")
    assert b"secret" not in response.body and b"c2VjcmV0" not in response.body


# -- fields ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Host", "Content-Length", "Content-Type", "Authorization", "Cookie",
                                  "X-Forwarded-For", "X-Request-Id", "Via", "Cache-Control", "date"])
def test_connection_may_not_name_end_to_end_fields(stage, name):
    """RFC 9110 7.6.1: the next hop would act without what this one acted upon."""
    client, response = refused(stage, get(f"Connection: keep-alive, {name}"), 400)
    assert response.get("Connection") == "close" and client.is_closed()


@pytest.mark.parametrize("name", ["Content_Length", "content_length", "Transfer_Encoding", "X_Forwarded_For",
                                  "X-Forwarded_Host", "X_Request_Id", "Content_Type", "If_None_Match"])
def test_second_spellings_of_known_names_do_not_pass(stage, name):
    """RFC 9110 5.1: such a field is another one; to origins that make variables of names it is the same."""
    request, _ = stage.exchange(stage.client(), get(f"{name}: 5", "My_Own: 1"), OK)
    assert name.lower() not in request.names()
    assert request.get("My_Own") == "1" and request.framing == "none"


def test_unknown_fields_pass_in_their_order(stage):
    """RFC 9110 5.3, 7.6.1: and with their order among equals."""
    request, _ = stage.exchange(stage.client(), get("X-B: 1", "X-A: 2", "X-B: 3", "X-Empty:", "X-High: \xe4\xf6"), OK)
    assert [field for field in request.fields if re.fullmatch("X-(A|B|Empty)", field[0])] == \
        [("X-B", "1"), ("X-A", "2"), ("X-B", "3"), ("X-Empty", "")]


def test_a_date_is_added_and_server_is_not(stage):
    """RFC 9110 6.6.1, 10.2.4: an answer without Date gets one; one that has it keeps it."""
    client = stage.client()
    _, response = stage.exchange(client, get(), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", response.get("Date"))
    assert not response.has("Server")
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    _, response = stage.exchange(client, get(), f"HTTP/1.1 200 OK\r\nDate: {date}\r\nServer: x/1 (y)\r\n"
                                 "Content-Length: 0\r\n\r\n".encode())
    assert response.get("Date") == date and response.get("Server") == "x/1 (y)"


CONDITIONS = ['If-Match: "a", "b"', 'If-None-Match: W/"a"', "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
              "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT", 'If-Range: "a"', "Range: bytes=0-4, -1"]


def test_conditions_and_ranges_are_the_origins_business(stage):
    """RFC 9110 13.2.1, 14.2: who has neither the content nor a cache of it forwards them all, and acts on none."""
    request, response = stage.exchange(
        stage.client(), get(*CONDITIONS), b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/9\r\n"
        b'Content-Length: 5\r\nETag: "a"\r\nAccept-Ranges: bytes\r\n\r\nhello')
    assert [f"{name}: {value}" for name, value in request.fields if f"{name}: {value}" in CONDITIONS] == CONDITIONS
    assert response.status == 206 and response.body == b"hello" and response.get("ETag") == '"a"'
    assert response.get("Content-Range") == "bytes 0-4/9" and response.get("Accept-Ranges") == "bytes"


@pytest.mark.parametrize("condition", CONDITIONS)
def test_answers_that_are_no_representation_ignore_conditions(weir, condition):
    """RFC 9110 13.2.1: a text of the configuration has no validator to compare with."""
    response = weir("site _ { respond 200 hello; }").get("/", condition)
    assert response.status == 200 and response.body == b"hello"


@pytest.mark.parametrize("status", [204, 205, 304])
def test_answers_without_content_have_none(status):
    """RFC 9110 15.3.5, 15.3.6, 15.4.5: a text for one is a mistake in the configuration."""
    one = Weir(f"site _ {{ respond {status} text; }}")
    try:
        done = one.cli("check")
        assert done.returncode == 1 and f"an answer of status {status} has no text" in done.stderr
    finally:
        one.abandon()


def test_credentials_and_challenges_are_not_touched(stage):
    """RFC 9110 11.6.1, 11.6.2: neither their bytes nor the number of their lines."""
    authorization = "Digest username=\"a\", response=\"x,y\"; , z"
    challenges = ["Negotiate", "Basic realm=\"a, b\", Digest nonce=\"x\""]
    request, response = stage.exchange(
        stage.client(), get(f"Authorization: {authorization}"),
        b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n"
        + "".join(f"WWW-Authenticate: {one}\r\n" for one in challenges).encode() + b"\r\n")
    assert request.all("Authorization") == [authorization]
    assert response.status == 401 and response.all("WWW-Authenticate") == challenges


# -- targets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first, host, seen", [
    ("GET http://b.test:80/x HTTP/1.1", "a.test", "b.test:80"), ("GET HTTP://B.test/x HTTP/1.1", "a", "B.test"),
    ("OPTIONS http://b.test HTTP/1.1", "a.test", "b.test"), ("GET http://b.test?x HTTP/1.0", "a.test", "b.test"),
])
def test_the_authority_of_an_absolute_form_is_the_host(stage, first, host, seen):
    """RFC 9112 3.2.2: the received Host is ignored, the origin sees the target's in origin form."""
    request, _ = stage.exchange(stage.client(), get(first=first, host=host), OK)
    assert request.get("Host") == seen and request.target in ("/x", "*", "/?x")
    assert request.get("X-Forwarded-Host") == seen


def test_an_https_target_on_a_plain_connection_is_misdirected(stage):
    """RFC 9110 7.4: it was meant for a secured one."""
    refused(stage, get(first="GET https://a/ HTTP/1.1"), 421)


# -- trailers ----------------------------------------------------------------------------------------------------------


def test_trailers_that_connection_names_end_here(stage):
    """RFC 9110 7.6.1: header or trailer, in both directions."""
    request, response = stage.exchange(
        stage.client(), get("Transfer-Encoding: chunked", "Connection: X-Hop", "Connection: x-hop2", "TE: trailers",
                            first="POST / HTTP/1.1") + b"1\r\na\r\n0\r\nX-Hop: 1\r\nX-Stays: 2\r\nX-Hop2: 3\r\n\r\n",
        CHUNKED_OK + b"Connection: X-Back\r\n\r\n1\r\nb\r\n0\r\nX-Back: 1\r\nX-Sum: 2\r\n\r\n")
    assert request.trailers == [("X-Stays", "2")]
    assert response.trailers == [("X-Sum", "2")]


@pytest.mark.parametrize("field", [
    "Content-Length: 5", "Transfer-Encoding: chunked", "Content_Length: 5", "Set-Cookie: a=b", "Location: /", "Date: x",
    "Content-Encoding: gzip", "Content-Type: a/b", "Trailer: X", "Connection: X", "WWW-Authenticate: Basic",
    "Cache-Control: no-store", "Access-Control-Allow-Origin: *"])
def test_trailers_of_answers_that_could_be_fields_are_dropped(stage, field):
    """RFC 9110 6.5.1."""
    _, response = stage.exchange(stage.client(), get("TE: trailers", "Connection: TE"),
                                 CHUNKED_OK + b"\r\n1\r\nb\r\n0\r\n" + field.encode() + b"\r\nX-Sum: 2\r\n\r\n")
    assert response.trailers == [("X-Sum", "2")]


# -- upgrades ----------------------------------------------------------------------------------------------------------


def ask(upgrade, *lines, first="GET / HTTP/1.1"):
    return get("Connection: Upgrade, HTTP2-Settings", f"Upgrade: {upgrade}", "HTTP2-Settings: AAMAAABk", *lines,
               first=first)


def switch(upgrade):
    return f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\r\n".encode()


@pytest.mark.parametrize("asked, passes", [
    ("websocket", "websocket"), ("WebSocket", "WebSocket"), ("tcp", "tcp"), ("DERP", "DERP"), ("extra/2", "extra/2"),
    ("tailscale-control-protocol", "tailscale-control-protocol"), ("h2c, websocket", "websocket"),
    ("made-up, , extra/2, websocket", "extra/2"), ("h2c", None), ("H2C", None), ("HTTP/2.0", None), ("http/1.1", None),
    ("TLS/1.2", None), ("websocket/13", None), ("extra", None), ("made-up", None), ("h2c\t", None),
    ("\"websocket\"", None),
])
def test_only_listed_upgrades_pass(extra_stage, asked, passes):
    """RFC 9110 7.8: one protocol is offered on, or none; without one the answer 101 is a fault."""
    client = extra_stage.client()
    client.send(ask(asked))
    connection = extra_stage.origin.take()
    request = connection.request()
    assert request.get("Upgrade") == passes and not request.has("HTTP2-Settings")
    connection.send(switch(passes or asked.strip()))
    assert client.head().status == (101 if passes else 502)


@pytest.fixture
def extra_stage(extra):
    yield extra
    extra.clear()


@pytest.fixture(scope="module")
def extra():
    origin = Origin()
    try:
        with serving(f"workers 1; upgrade_protocols extra/2;\nsite _ {{ proxy {origin.url}; }}") as weir:
            yield Stage(weir, origin)
    finally:
        origin.stop()


@pytest.mark.parametrize("answer", [
    switch("h2c"), switch("websocket, h2c"), switch("tcp"), b"HTTP/1.1 101 X\r\n\r\n",
    b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\n\r\n", b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n",
    b"HTTP/1.0 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc",
])
def test_a_switch_to_anything_else_is_502(stage, answer):
    """RFC 9110 7.8: a server must not switch to a protocol that was not asked for, and says which one."""
    _, response = stage.exchange(stage.client(), ask("websocket"), answer)
    assert response.status == 502


def test_a_switch_before_the_request_is_whole_is_502(stage):
    """RFC 9110 7.8: what is left of the request would be read as the new protocol."""
    client = stage.client()
    client.send(ask("tcp", "Content-Length: 10", first="POST / HTTP/1.1") + b"12345")
    connection = stage.origin.take()
    connection.head()
    connection.send(switch("tcp"))
    assert client.response().status == 502
    assert client.is_closed()


def test_a_switch_behind_a_whole_request_with_content(stage):
    client = stage.client()
    client.send(ask("tcp", "Content-Length: 5", first="POST / HTTP/1.1") + b"12345raw")
    connection = stage.origin.take()
    assert connection.request().body == b"12345"
    connection.send(switch("tcp"))
    assert client.head().status == 101
    assert connection.exactly(3) == b"raw"


def test_bytes_behind_an_upgrade_that_failed_are_the_next_request(stage):
    """RFC 9110 7.8: nothing is tunnelled, nothing lost."""
    client = stage.client()
    client.send(ask("h2c") + get(first="GET /next HTTP/1.1"))
    for target in ("/", "/next"):
        connection = stage.origin.take()
        assert connection.request().target == target
        connection.reply()
    assert [client.response().status, client.response().status] == [200, 200]


@pytest.mark.parametrize("offer, seen", [("websocket", "websocket"), ("h2c, websocket", "websocket"), ("h2c", None)])
def test_426_says_what_to_upgrade_to(stage, offer, seen):
    """RFC 9110 7.8, 15.5.22: with a Connection of our own; an offer of other HTTP is not weir's to make."""
    _, response = stage.exchange(stage.client(), get(), "HTTP/1.1 426 X\r\nConnection: Upgrade\r\n"
                                 f"Upgrade: {offer}\r\nContent-Length: 0\r\n\r\n".encode())
    assert response.status == 426 and response.get("Upgrade") == seen
    assert response.get("Connection") == ("Upgrade" if seen else None)


@pytest.mark.parametrize("protocol", ["h2c", "HTTP/2.0", "HTTP", "TLS/1.0", '"a b"', "a/b/c", "/"])
def test_other_http_cannot_be_listed(protocol):
    one = Weir(f"upgrade_protocols websocket {protocol};\nsite _ {{ respond 200; }}")
    try:
        done = one.cli("check")
        assert done.returncode == 1 and "upgrade_protocols" in done.stderr
    finally:
        one.abandon()


# -- any byte anywhere -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def answering_world():
    origin = AnsweringOrigin(lambda request: OK)
    try:
        with serving(f"workers 1;\nsite _ {{ proxy {origin.url}; }}") as weir:
            weir.origin = origin
            yield weir
    finally:
        origin.stop()


LENGTH = b"POST /first HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nX-A: b\r\n\r\n"
CHUNKED = b"POST /first HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"
BODY = b"5;a=b\r\n\r\n0\r\n\r\n0\r\nX-T: u\r\n\r\n"
SECOND = b"GET /second HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
ODD = [b"\x00", b"\r", b"\n", b"\t", b"\x0b", b" ", b"\x7f", b"\x80", b",", b":", b";", b"\r\n", b"\r\n ", b"0"]


def statuses(client):
    found = []
    try:
        while True:
            response = client.response()
            if response.status >= 200:
                found.append(response.status)
    except Closed:
        return found


def spoiled():
    for name, message in (("length", LENGTH + b"\r\n0\r\n"), ("chunked", CHUNKED + BODY)):
        for odd in ODD:
            yield pytest.param(message, odd, id=f"{name}-{odd.hex()}")


@pytest.mark.parametrize("message, odd", spoiled())
def test_no_byte_anywhere_makes_two_requests_of_one(answering_world, message, odd):
    """RFC 9112 11.2: with something odd put in at each place, the origin sees, strictly read, just as many requests as
    the client got answers from it, none of them one that was never sent."""
    for at in range(len(message) + 1):
        answering_world.origin.forget()
        client = answering_world.connect()
        client.send(message[:at] + odd + message[at:] + SECOND)
        client.half_close()
        found = statuses(client)
        client.close()
        answering_world.clients.clear()
        seen = [request.target for request in answering_world.origin.requests]
        assert len(seen) <= 2 and seen.count("/second") <= 1, (at, seen)
        assert found.count(200) == len(seen) and 502 not in found, (at, found, seen)
        assert len(found) >= 1 and (found[-1] == 200 or found[-1] in (400, 404, 417, 421, 501, 505)), (at, found)


def test_refusals_are_no_less_strict_for_head(stage):
    """RFC 9110 9.3.2: an answer to HEAD has no content, a refusal of one neither."""
    client = stage.client()
    client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\nConnection: Host\r\n\r\n")
    head = client.head(to="HEAD")
    assert isinstance(head, Response) and head.status == 400
