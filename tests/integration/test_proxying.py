# SPDX-License-Identifier: BSD-2-Clause
"""Requests and answers on their way through: what the origin sees, what the client sees, byte by byte."""

import pytest

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_get_arrives_and_its_answer_comes_back(stage):
    """RFC 9110 9.3.1, 7.2: target and Host as sent; status, reason, fields in their order and body as answered."""
    client = stage.client()
    request, response = stage.exchange(
        client, b"GET /a/b?c=d&e HTTP/1.1\r\nHost: A.test:8080\r\nX-One: 1\r\nAccept: */*\r\n\r\n",
        b"HTTP/1.1 203 Quite Fine\r\nX-B: 1\r\nX-A: 2\r\nContent-Type: text/plain\r\nX-B: 3\r\n"
        b"Content-Length: 5\r\n\r\nhello")

    assert (request.method, request.target, request.version) == ("GET", "/a/b?c=d&e", "HTTP/1.1")
    assert request.get("Host") == "A.test:8080"
    assert request.get("X-One") == "1" and request.get("Accept") == "*/*"
    assert request.framing == "none"
    assert (response.status, response.reason, response.text) == (203, "Quite Fine", "hello")
    own = [field for field in response.fields if field[0].startswith("X-")]
    assert own == [("X-B", "1"), ("X-A", "2"), ("X-B", "3")]
    assert response.framing == "length" and response.get("Content-Type") == "text/plain"


def test_head_has_fields_and_no_body(stage):
    """RFC 9110 9.3.2: the length is that of the GET; the connection goes on behind the head."""
    client = stage.client()
    request, response = stage.exchange(client, b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n",
                                       b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    assert request.method == "HEAD"
    assert response.get("Content-Length") == "1000" and response.body == b""
    _, response = stage.exchange(client, b"GET /y HTTP/1.1\r\nHost: a\r\n\r\n", OK)
    assert response.text == "ok"


def test_post_with_a_length(stage):
    """RFC 9112 6.2."""
    request, response = stage.exchange(
        stage.client(), b"POST /form HTTP/1.1\r\nHost: a\r\nContent-Type: text/x\r\nContent-Length: 11\r\n\r\n"
        b"hello world", OK)
    assert (request.method, request.framing, request.body) == ("POST", "length", b"hello world")
    assert request.get("Content-Type") == "text/x" and response.status == 200


def test_post_with_an_empty_body_keeps_its_length(stage):
    """RFC 9110 8.6: Content-Length: 0 tells the origin that an empty body was meant."""
    request, _ = stage.exchange(stage.client(), b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", OK)
    assert request.get("Content-Length") == "0"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "X-OWN"])
def test_any_method_passes(stage, method):
    """RFC 9110 9.1: methods are the origin's business."""
    request, response = stage.exchange(stage.client(), f"{method} /m HTTP/1.1\r\nHost: a\r\n\r\n".encode(), OK)
    assert request.method == method and response.status == 200


def test_options_asterisk(stage):
    """RFC 9112 3.2.4."""
    request, _ = stage.exchange(stage.client(), b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", OK)
    assert request.target == "*"


def test_both_connections_are_kept(stage):
    """RFC 9112 9.3: many requests, one connection on either side."""
    before = stage.origin.accepted
    client = stage.client()
    for number in range(5):
        request, response = stage.exchange(client, f"GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n".encode(), OK)
        assert request.target == f"/{number}" and response.text == "ok"
    other = stage.client()
    stage.exchange(other, b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n", OK)
    assert stage.origin.accepted <= before + 1


def test_pipelined_requests_are_answered_in_order(stage):
    """RFC 9112 9.3.2."""
    client = stage.client()
    client.send(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
                b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                b"GET /3 HTTP/1.1\r\nHost: a\r\n\r\n")
    seen = []
    for body in (b"first", b"second", b"third"):
        connection = stage.origin.take()
        seen.append(connection.request())
        connection.reply(body=body)
    assert [request.target for request in seen] == ["/1", "/2", "/3"]
    assert seen[1].body == b"abc"
    assert [client.response().body for _ in seen] == [b"first", b"second", b"third"]


def test_a_pipelined_request_waits_for_the_one_before(stage):
    """RFC 9110 9.2.2: what comes next may depend on what was answered."""
    client = stage.client()
    client.send(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    connection = stage.origin.take()
    assert connection.request().target == "/1"
    assert stage.origin.is_quiet()
    connection.reply()
    assert stage.origin.take().request().target == "/2"


def test_close_is_honoured(stage):
    """RFC 9112 9.6: the last answer says close, and the connection ends behind it."""
    client = stage.client()
    request, response = stage.exchange(client, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", OK)
    assert "close" not in [value.lower() for value in request.all("Connection")]
    assert response.get("Connection") == "close"
    assert client.is_closed()


def test_an_origin_that_closes_does_not_close_the_client(stage):
    """RFC 9110 7.6.1: Connection is for one hop."""
    client = stage.client()
    _, response = stage.exchange(client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                                 b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    assert not response.has("Connection")
    _, response = stage.exchange(client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", OK)
    assert response.text == "ok"


# -- chunked and trailers ----------------------------------------------------------------------------------------------


def test_chunked_request(stage):
    """RFC 9112 7.1: framed anew; the content is what counts."""
    request, _ = stage.exchange(
        stage.client(), b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5;name=value;q=\"x;y\"\r\nhello\r\n0006\r\n world\r\n0\r\n\r\n", OK)
    assert (request.framing, request.body, request.trailers) == ("chunked", b"hello world", [])


def test_chunked_response(stage):
    """RFC 9112 7.1: extensions are dropped."""
    client = stage.client()
    _, response = stage.exchange(client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                                 b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 b"3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n")
    assert (response.framing, response.body) == ("chunked", b"abc0123456789")
    _, response = stage.exchange(client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", OK)
    assert response.text == "ok"


def test_trailers_of_a_request(stage):
    """RFC 9110 6.5."""
    request, _ = stage.exchange(
        stage.client(), b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        b"3\r\nabc\r\n0\r\nX-Sum: 42\r\nX-More: yes\r\n\r\n", OK)
    assert request.body == b"abc"
    assert request.trailers == [("X-Sum", "42"), ("X-More", "yes")]


def test_trailers_of_a_response(stage):
    """RFC 9110 6.5: for a client that said it takes them."""
    request, response = stage.exchange(
        stage.client(), b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 42\r\n\r\n")
    assert request.get("TE") == "trailers" and request.get("Connection") == "TE"
    assert response.body == b"abc" and response.trailers == [("X-Sum", "42")]


@pytest.mark.parametrize("field", ["Content-Length: 5", "Transfer-Encoding: chunked", "Host: evil", "Authorization: x",
                                   "X-Forwarded-For: 1.2.3.4", "Connection: close"])
def test_trailers_that_could_be_fields_are_dropped(stage, field):
    """RFC 9110 6.5.1: framing, routing and identity have no place behind the body."""
    request, _ = stage.exchange(
        stage.client(), b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n0\r\n" + field.encode() + b"\r\nX-Sum: 1\r\n\r\n", OK)
    assert request.trailers == [("X-Sum", "1")]


# -- HTTP/1.0, and bodies that end with the connection -----------------------------------------------------------------


def test_http10_client(stage):
    """RFC 9112 2.3, 6.1: never chunked for it; without keep-alive the connection ends."""
    client = stage.client()
    request, response = stage.exchange(client, b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
                                       b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert request.version == "HTTP/1.1"
    assert response.framing == "close" and response.body == b"abc"


def test_http10_client_that_keeps_alive(stage):
    """RFC 9112 9.3: only with a length, and told so."""
    client = stage.client()
    for _ in range(2):
        _, response = stage.exchange(client, b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", OK)
        assert response.framing == "length" and response.text == "ok"
        assert response.get("Connection").lower() == "keep-alive"


def test_http10_client_without_host(stage):
    """An HTTP/1.0 request without Host goes to the site `_`."""
    _, response = stage.exchange(stage.client(), b"GET / HTTP/1.0\r\n\r\n", OK)
    assert response.status == 200


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_answer_that_ends_with_the_connection(stage, version):
    """RFC 9112 6.3 rule 8: what ends with the origin's connection is chunked for the client, whose own goes on."""
    client = stage.client()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    connection = stage.origin.take()
    connection.request()
    connection.send(f"HTTP/{version} 200 OK\r\nX-A: b\r\n\r\nhello ".encode(), b"world")
    connection.close()
    response = client.response()
    assert (response.version, response.framing, response.body) == ("HTTP/1.1", "chunked", b"hello world")
    _, response = stage.exchange(client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", OK)
    assert response.text == "ok"


def test_http10_origin_that_keeps_alive(stage):
    """RFC 9112 9.3: a 1.0 origin keeps the connection only when it says so."""
    client = stage.client()
    _, response = stage.exchange(client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                                 b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert response.text == "ok"
    before = stage.origin.accepted
    stage.exchange(client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", OK)
    assert stage.origin.accepted == before + 1


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body(stage, status):
    """RFC 9110 15.3.5, 15.4.5: nothing follows the head, and the connection goes on."""
    client = stage.client()
    _, response = stage.exchange(client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                                 f"HTTP/1.1 {status} X\r\nETag: \"e\"\r\n\r\n".encode())
    assert (response.status, response.get("ETag")) == (status, '"e"')
    assert not response.has("Transfer-Encoding")
    _, response = stage.exchange(client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", OK)
    assert response.text == "ok"


# -- interim answers ---------------------------------------------------------------------------------------------------


def test_100_continue_comes_from_the_origin(stage):
    """RFC 9110 10.1.1: the client sends its body when the origin said so, not before."""
    client = stage.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    connection = stage.origin.take()
    request = connection.head()
    assert request.get("Expect") == "100-continue"
    connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    interim = client.head()
    assert interim.status == 100
    client.send(b"hello")
    assert connection.body(request).body == b"hello"
    connection.reply(201)
    assert client.response().status == 201


def test_refusal_instead_of_100_continue(stage):
    """RFC 9110 10.1.1: a final answer at once; as nobody knows whether the body comes, the connection ends."""
    client = stage.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    connection = stage.origin.take()
    connection.head()
    connection.reply(403, "Connection: close")
    response = client.response()
    assert response.status == 403 and response.get("Connection") == "close"
    assert client.is_closed()


def test_a_client_that_does_not_wait_for_100(stage):
    """RFC 9110 10.1.1: a client may send its body without having been told to."""
    client = stage.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
    connection = stage.origin.take()
    request = connection.request()
    assert request.body == b"hello"
    connection.reply(200)
    response = client.head()
    if response.status == 100:
        response = client.head()
    assert client.body(response).status == 200


def test_100_that_nobody_asked_for_passes(stage):
    """RFC 9110 15.2: interim answers that the proxy did not cause are the client's; this one it may pass over."""
    client = stage.client()
    _, response = stage.exchange(client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                                 b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
    assert response.status == 100
    assert client.response().text == "ok"


def test_103_early_hints_pass(stage):
    """RFC 8297: as soon as the origin sends them, before the final answer."""
    client = stage.client()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    connection = stage.origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
    hints = client.head()
    assert hints.status == 103 and hints.get("Link") == "</style.css>; rel=preload"
    connection.send(OK)
    assert client.response().text == "ok"


def test_103_is_not_for_http10(stage):
    """RFC 9110 15.2: no 1xx to an HTTP/1.0 client."""
    client = stage.client()
    _, response = stage.exchange(client, b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
                                 b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)
    assert response.status == 200 and response.text == "ok"


# -- early answers -----------------------------------------------------------------------------------------------------


def test_final_answer_while_the_body_still_comes(stage):
    """RFC 9112 9.6: an origin may refuse early; the client hears it while it still sends."""
    client = stage.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", b"x" * 1000)
    connection = stage.origin.take()
    connection.head()
    connection.exactly(1000)
    connection.reply(413, "Connection: close", body=b"too much")
    connection.close()
    response = client.response()
    assert (response.status, response.body) == (413, b"too much")
    assert response.get("Connection") == "close"


def test_final_answer_while_the_body_still_comes_and_is_still_taken(stage):
    """An origin that answers first and reads on gets the whole body."""
    client = stage.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
    connection = stage.origin.take()
    request = connection.head()
    connection.exactly(5)
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n")
    response = client.head()
    assert response.status == 200 and client.chunk() == b"early"
    client.send(b"67890")
    assert connection.exactly(5) == b"67890" and request.length == 10
    connection.send(b"4\r\nlate\r\n0\r\n\r\n")
    assert client.chunk() == b"late" and client.chunk() == b"" and client.trailers() == []


# -- targets and fields ------------------------------------------------------------------------------------------------


def test_absolute_form_names_the_host(stage):
    """RFC 9112 3.2.2: its authority replaces Host; the origin gets the origin form."""
    request, _ = stage.exchange(stage.client(),
                                b"GET http://b.test:81/x?y HTTP/1.1\r\nHost: a.test\r\n\r\n", OK)
    assert (request.target, request.get("Host")) == ("/x?y", "b.test:81")


@pytest.mark.parametrize("sent, seen", [
    ("/a/../b", "/b"),
    ("/a/./b", "/a/b"),
    ("/%61%7e", "/a~"),
    ("/%2f%2F", "/%2F%2F"),
    ("/a//b", "/a//b"),
    ("/../../etc/passwd", "/etc/passwd"),
    ("/%2e%2e/x", "/x"),
    ("/x?%2e%2e/../a b".replace(" ", "+"), "/x?%2e%2e/../a+b"),
    ("/x?", "/x?"),
])
def test_targets_are_forwarded_in_normal_form(stage, sent, seen):
    """RFC 3986 6.2.2: what is routed is what is forwarded; the query is the origin's own."""
    request, _ = stage.exchange(stage.client(), f"GET {sent} HTTP/1.1\r\nHost: a\r\n\r\n".encode(), OK)
    assert request.target == seen


def test_hop_by_hop_fields_of_a_request_end_here(stage):
    """RFC 9110 7.6.1: Connection, what it names, and the fields of old that were never named."""
    request, _ = stage.exchange(
        stage.client(), b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Hop, keep-alive\r\nConnection: x-other\r\n"
        b"X-Hop: 1\r\nX-Other: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nX-Stays: 1\r\n\r\n", OK)
    for gone in ("x-hop", "x-other", "keep-alive", "proxy-connection", "te", "upgrade", "http2-settings"):
        assert gone not in request.names()
    assert request.get("X-Stays") == "1"


def test_end_to_end_fields_cannot_be_named_away(stage):
    """RFC 9110 7.6.1: Connection must not name fields meant for all recipients."""
    client = stage.client()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, Cookie\r\nCookie: a=b\r\n\r\n")
    assert client.response().status == 400
    assert client.is_closed() and stage.origin.is_quiet()


def test_hop_by_hop_fields_of_an_answer_end_here(stage):
    """RFC 9110 7.6.1."""
    _, response = stage.exchange(
        stage.client(), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\n"
        b"X-Stays: 1\r\nContent-Length: 2\r\n\r\nok")
    for gone in ("connection", "x-hop", "keep-alive", "proxy-connection"):
        assert gone not in response.names()
    assert response.get("X-Stays") == "1"


def test_repeated_fields_stay_apart(stage):
    """RFC 9110 5.2, 5.3: Set-Cookie above all is never joined."""
    request, response = stage.exchange(
        stage.client(), b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-A: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n")
    assert request.all("X-A") == ["1", "2"]
    assert response.all("Set-Cookie") == ["a=1", "b=2"]


def test_white_space_around_values_is_dropped(stage):
    """RFC 9112 5.1: what goes on is in normal form."""
    request, _ = stage.exchange(stage.client(), b"GET / HTTP/1.1\r\nHost:a\r\nX-A: \t  v  w \t \r\nX-E:\r\n\r\n", OK)
    assert b"\r\nX-A: v  w\r\n" in request.raw and request.get("X-E") == ""


def test_obs_text_passes(stage):
    """RFC 9110 5.5: bytes above ASCII are opaque."""
    request, response = stage.exchange(stage.client(), b"GET / HTTP/1.1\r\nHost: a\r\nX-A: caf\xc3\xa9 \xff\r\n\r\n",
                                       b"HTTP/1.1 200 \xc3\xa9\r\nX-B: \xe9\r\nContent-Length: 0\r\n\r\n")
    assert b"X-A: caf\xc3\xa9 \xff\r\n" in request.raw
    assert response.get("X-B") == "\xe9"
