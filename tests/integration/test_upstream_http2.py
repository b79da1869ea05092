# SPDX-License-Identifier: BSD-2-Clause
"""`protocol h2;`: requests of either version over shared HTTP/2 connections to the origin (RFC 9113, 9110 7)."""

import ssl

import pytest

from lib import http2, http2_origin
from lib.http2 import CANCEL, DATA, END_HEADERS, END_STREAM, HEADERS, NO_ERROR, REFUSED_STREAM, connect
from lib.http2_origin import ENABLE_CONNECT, MAX_STREAMS, AnsweringHttp2Origin, Http2Origin
from lib.metrics import metrics_of
from lib.patience import eventually
from lib.ports import free_port
from lib.websocket import EchoServer, WebSocket


@pytest.fixture
def h2_origin():
    """An origin that the test plays itself."""
    one = Http2Origin()
    yield one
    one.stop()


@pytest.fixture
def answering_h2():
    started = []

    def start(*args, **how):
        started.append(AnsweringHttp2Origin(*args, **how))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def upstream(port, *words, workers=1):
    return f"workers {workers}; upstream u {{ server 127.0.0.1:{port}; protocol h2; {' '.join(words)} }} " \
           "site _ { proxy u; }"


def said(body):
    """What say_back() was asked."""
    return dict(line.split(": ", 1) for line in body.decode().partition("\n\n")[0].split("\n"))


# -- what is sent --------------------------------------------------------------------------------------------------


def test_a_request_of_http_1(weir, answering_h2):
    origin = answering_h2()
    one = weir(upstream(origin.port))
    answer = one.connect().get("/a/b?c=d", "X-Mixed-Case: Yes", "Cookie: a=1; b=2", "Connection: x-hop, keep-alive",
                               "X-Hop: 1", "TE: trailers, gzip", "Keep-Alive: 5")
    assert answer.status == 200
    seen = said(answer.body)
    assert (seen[":method"], seen[":scheme"], seen[":path"]) == ("GET", "http", "/a/b?c=d")
    assert seen[":authority"] == "a.test"
    assert seen["x-mixed-case"] == "Yes" and seen["cookie"] == "a=1; b=2" and seen["te"] == "trailers"
    assert seen["via"] == "1.1 weir" and seen["x-forwarded-for"] == "127.0.0.1"
    for gone in ("host", "connection", "x-hop", "keep-alive", "transfer-encoding", "content-length"):
        assert gone not in seen


def test_a_request_of_http_2(weir, answering_h2):
    origin = answering_h2()
    one = weir(upstream(origin.port))
    answer = connect(one).get("/x", ("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers"))
    assert answer.status == 200
    seen = said(answer.body)
    assert seen[":authority"] == "a.test" and seen["cookie"] == "a=1; b=2" and seen["te"] == "trailers"
    assert seen["via"] == "2.0 weir" and "host" not in seen


def test_content_both_ways(weir, answering_h2):
    origin = answering_h2(lambda asked: (200, [("content-length", str(len(asked.body)))], asked.body))
    one = weir(upstream(origin.port, workers=2))
    content = bytes(range(256)) * 8000
    assert one.connect().request("POST", "/", body=content).response().body == content
    client = connect(one)
    stream = client.request(method="POST", end=False)
    client.data(stream, content[:60000], end=True)
    assert client.response(stream).body == content[:60000]


def test_many_at_once_share_a_connection(weir, answering_h2):
    origin = answering_h2()
    one = weir(upstream(origin.port))
    client = connect(one)
    streams = [client.request(path=f"/{n}") for n in range(60)]
    for n, stream in enumerate(streams):
        assert said(client.response(stream).body)[":path"] == f"/{n}"
    for _ in range(3):
        assert one.get().status == 200
    assert origin.accepted == 1
    metrics = metrics_of(one)
    assert metrics.sum("weir_upstream_connections_total") == 1
    assert metrics.sum("weir_upstream_connections_reused_total") == 62
    assert metrics.sum("weir_upstream_http2_connections") == 1
    eventually(lambda: metrics_of(one).sum("weir_upstream_http2_streams") == 0, "no stream is left")
    assert metrics_of(one).sum("weir_upstream_idle_connections") == 1


# -- how it answers ------------------------------------------------------------------------------------------------


def test_heads_without_content(weir, h2_origin):
    one = weir(upstream(h2_origin.port))
    client = one.connect()
    for method, status in (("HEAD", 200), ("GET", 204), ("GET", 304)):
        client.request(method)
        server = h2_origin.serve() if not h2_origin.open else server
        asked = server.asked()
        fields = [("content-length", "5")] if status != 204 else []
        server.respond(asked.stream, status, *fields)
        answer = client.response(method)
        assert answer.status == status and answer.body == b""
        if method == "HEAD":
            assert answer.get("Content-Length") == "5"


def test_interim_answers_come_through(weir, h2_origin):
    one = weir(upstream(h2_origin.port))
    client = one.connect().request()
    server = h2_origin.serve()
    asked = server.asked()
    server.head(asked.stream, 103, ("link", "</a.css>; rel=preload"))
    hints = client.head()
    assert hints.status == 103 and hints.get("Link") == "</a.css>; rel=preload"
    server.respond(asked.stream, body=b"x")
    assert client.response().body == b"x"


def test_100_continue_is_asked_for_and_passed_on(weir, h2_origin):
    one = weir(upstream(h2_origin.port))
    client = one.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    server = h2_origin.serve()
    stream, fields, _ = server.head_of()
    assert dict(fields)["expect"] == "100-continue"
    assert client.is_silent()
    server.head(stream, 100)
    assert client.head().status == 100
    client.send(b"abc")
    assert server.next_of(stream, DATA).payload == b"abc"
    server.respond(stream, body=b"ok")
    assert client.response().body == b"ok"


@pytest.mark.parametrize("version", [1, 2])
def test_trailers_both_ways(weir, h2_origin, version):
    one = weir(upstream(h2_origin.port))
    if version == 1:
        client = one.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n")
    else:
        client = connect(one)
        stream = client.request(("te", "trailers"), method="POST", body=b"abc", end=False)
        client.headers([("x-sum", "3")], stream)
    server = h2_origin.serve()
    asked = server.asked()
    assert asked.body == b"abc" and asked.trailers == {"x-sum": "3"} and "content-length" not in asked.fields
    server.respond(asked.stream, body=b"ok", trailers=[("grpc-status", "0"), ("x-other", "1")])
    if version == 1:
        answer = client.response()
        assert answer.body == b"ok" and ("grpc-status", "0") in answer.trailers
    else:
        answer = client.response(stream)
        assert answer.body == b"ok" and answer.trailers == {"grpc-status": "0", "x-other": "1"}


def test_a_status_without_content_is_one_head(weir, h2_origin):
    """As gRPC says what went wrong."""
    one = weir(upstream(h2_origin.port))
    client = connect(one)
    stream = client.request(method="POST", body=b"abc")
    server = h2_origin.serve()
    asked = server.asked()
    server.head(asked.stream, 200, ("content-type", "application/grpc"), ("grpc-status", "5"), end=True)
    frame = client.next_of(stream, HEADERS, DATA)
    assert frame.flags & END_STREAM and dict(frame.payload)["grpc-status"] == "5"


def test_an_answer_before_the_request_is_whole(weir, h2_origin):
    one = weir(upstream(h2_origin.port))
    client = connect(one)
    stream = client.request(method="POST", body=b"abc", end=False)
    server = h2_origin.serve()
    number, _, _ = server.head_of()
    assert server.next_of(number, DATA).payload == b"abc"
    server.respond(number, 413, body=b"no")
    server.reset(number, NO_ERROR)
    answer = client.response(stream)
    assert (answer.status, answer.body) == (413, b"no")
    again = client.request()
    server.respond(server.asked().stream, body=b"fine")
    assert client.response(again).body == b"fine"
    assert h2_origin.accepted == 1


def test_both_ways_at_once_without_holding_back(weir, h2_origin):
    one = weir(upstream(h2_origin.port))
    client = connect(one)
    stream = client.request(method="POST", body=b"ping 0", end=False)
    server = h2_origin.serve()
    number, _, _ = server.head_of()
    assert server.next_of(number, DATA).payload == b"ping 0"
    server.head(number)
    assert client.next_of(stream, HEADERS)
    for n in range(5):
        server.data(number, b"pong %d" % n)
        assert client.next_of(stream, DATA).payload == b"pong %d" % n
        client.data(stream, b"ping %d" % (n + 1))
        assert server.next_of(number, DATA).payload == b"ping %d" % (n + 1)
    client.data(stream, end=True)
    assert server.next_of(number, DATA).flags & END_STREAM
    server.headers([("grpc-status", "0")], number)
    assert client.next_of(stream, HEADERS).flags & END_STREAM


def test_a_client_that_goes_takes_only_its_stream(weir, h2_origin):
    one = weir(upstream(h2_origin.port))
    client, other = connect(one), connect(one)
    stream = client.request(path="/gone")
    server = h2_origin.serve()
    gone = server.asked()
    rest = other.request(path="/stays")
    stays = server.asked()
    client.reset(stream)
    assert server.code_of(gone.stream) == CANCEL
    server.respond(stays.stream, body=b"here")
    assert other.response(rest).body == b"here"


# -- limits of the server, and its leaving ------------------------------------------------------------------------


def test_no_more_streams_than_the_server_takes(weir, h2_origin):
    one = weir(upstream(h2_origin.port))
    client = connect(one)
    first = client.request(path="/1")
    server = h2_origin.serve({MAX_STREAMS: 2})
    one_asked = server.asked()
    second, third = client.request(path="/2"), client.request(path="/3")
    two_asked = server.asked()
    other = h2_origin.serve({MAX_STREAMS: 2})
    three_asked = other.asked()
    assert {two_asked.fields[":path"], three_asked.fields[":path"]} == {"/2", "/3"}
    for side, asked in ((server, one_asked), (server, two_asked), (other, three_asked)):
        side.respond(asked.stream, body=asked.fields[":path"].encode())
    for stream, path in ((first, b"/1"), (second, b"/2"), (third, b"/3")):
        assert client.response(stream).body == path


def test_one_stream_a_connection_and_many_requests(weir, answering_h2):
    """The most extreme of servers: links up to their cap, and the others wait their turn."""
    origin = answering_h2(settings={MAX_STREAMS: 1})
    one = weir(upstream(origin.port))
    assert one.get().status == 200
    client = connect(one)
    streams = [client.request(path=f"/{n}") for n in range(50)]
    for n, stream in enumerate(streams):
        assert said(client.response(stream).body)[":path"] == f"/{n}"
    assert origin.accepted <= 8


def test_who_waits_for_a_stream_waits_no_longer_than_for_a_connection(weir, h2_origin):
    one = weir("timeout connect=700ms; " + upstream(h2_origin.port))
    client = connect(one)
    first = client.request()
    server = h2_origin.serve({MAX_STREAMS: 1})
    server.respond(server.asked().stream)
    client.response(first)
    busy = {}
    for n in range(8):
        stream = client.request(path=f"/{n}")
        server = server if n == 0 else h2_origin.serve({MAX_STREAMS: 1})
        busy[stream] = (server, server.asked().stream)
    waits = client.request(path="/9")
    assert client.response(waits).status == 503
    assert "no stream to the server became free" in one.log()
    late = client.request(path="/late")
    stream, (server, number) = next(iter(busy.items()))
    server.respond(number, body=b"first")
    assert client.response(stream).body == b"first"
    asked = server.asked()
    server.respond(asked.stream, body=b"its turn")
    assert client.response(late).body == b"its turn"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refused_stream_is_tried_again(weir, h2_origin, method):
    one = weir(upstream(h2_origin.port))
    client = connect(one)
    stream = client.request(method=method)
    server = h2_origin.serve()
    server.reset(server.asked().stream, REFUSED_STREAM)
    again = server.asked()
    server.respond(again.stream, body=b"now")
    assert client.response(stream).body == b"now"


def test_refusals_are_bounded(weir, h2_origin):
    one = weir(upstream(h2_origin.port))
    client = connect(one)
    stream = client.request()
    server = h2_origin.serve()
    for _ in range(4):
        server.reset(server.asked().stream, REFUSED_STREAM)
    assert client.response(stream).status == 502
    assert "streams refused by the server" in one.log()


def test_goaway_moves_what_was_not_looked_at(weir, h2_origin):
    one = weir(upstream(h2_origin.port))
    client = connect(one)
    first, second = client.request(path="/1"), client.request(method="POST", path="/2")
    server = h2_origin.serve()
    seen, unseen = server.asked(), server.asked()
    assert unseen.stream > seen.stream
    server.say_goaway(last=seen.stream)
    other = h2_origin.serve()
    moved = other.asked()
    assert moved.fields[":path"] == unseen.fields[":path"]
    other.respond(moved.stream, body=b"moved")
    server.respond(seen.stream, body=b"stayed")
    streams = {"/1": first, "/2": second}
    assert client.response(streams[seen.fields[":path"]]).body == b"stayed"
    assert client.response(streams[moved.fields[":path"]]).body == b"moved"
    third = client.request(path="/3")
    other.respond(other.asked().stream, body=b"next")
    assert client.response(third).body == b"next"
    assert server.ends() is not None


def test_a_kept_connection_that_dies_is_replaced(weir, h2_origin):
    one = weir(upstream(h2_origin.port))
    client = connect(one)
    stream = client.request()
    server = h2_origin.serve()
    server.respond(server.asked().stream, body=b"1")
    assert client.response(stream).body == b"1"
    stream = client.request()
    server.asked()
    server.stream.close()
    other = h2_origin.serve()
    other.respond(other.asked().stream, body=b"2")
    assert client.response(stream).body == b"2"


def test_a_fresh_connection_that_dies_is_an_error(weir, h2_origin):
    one = weir(upstream(h2_origin.port))
    client = one.connect().request()
    server = h2_origin.serve()
    server.asked()
    server.stream.close()
    assert client.response().status == 502
    # which of both depends on whether weir's SETTINGS ACK was still unread
    assert "connection closed by the server" in one.log() or "reset by peer" in one.log()


def test_a_stream_that_is_reset_is_an_error_of_its_own(weir, h2_origin):
    one = weir(upstream(h2_origin.port))
    client = connect(one)
    first, second = client.request(path="/1"), client.request(path="/2")
    server = h2_origin.serve()
    asked = {}
    for _ in range(2):
        request = server.asked()
        asked[request.fields[":path"]] = request.stream
    server.reset(asked["/1"], http2.INTERNAL_ERROR)
    assert client.response(first).status == 502
    server.respond(asked["/2"], body=b"fine")
    assert client.response(second).body == b"fine"
    assert "stream reset by the server: INTERNAL_ERROR" in one.log()


@pytest.mark.parametrize("says, why", [
    (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "`protocol http1;` is what it speaks"),
    (b"", "connection closed where the SETTINGS of HTTP/2 were due"),
])
def test_a_server_of_http_1_is_told_from_one_of_http_2(weir, origin, says, why):
    one = weir(upstream(origin.port))
    client = one.connect().request()
    connection = origin.accept()
    connection.until(http2.PREFACE)
    connection.send(says)
    connection.close()
    assert client.response().status == 502
    assert why in one.log()


def test_idle_connections_end_in_order(weir, h2_origin):
    one = weir(upstream(h2_origin.port, "keepalive 4 timeout=300ms;"))
    client = one.connect().request()
    server = h2_origin.serve()
    server.respond(server.asked().stream, body=b"1")
    assert client.response().body == b"1"
    assert server.goaway_frame is None
    server.ends()
    assert server.goaway_frame == (0, NO_ERROR)


def test_a_slow_client_holds_up_no_other_and_no_more_than_its_share(weir, answering_h2):
    large = bytes(4 * 1024 * 1024)
    origin = answering_h2(lambda asked: (200, [], large if asked.fields[":path"] == "/large" else b"small"))
    one = weir(upstream(origin.port))
    slow = connect(one, gives=False)
    slow.request(path="/large")
    quick = connect(one)
    for _ in range(20):
        assert quick.get("/small").body == b"small"
    assert origin.accepted == 1
    slow.gives = True
    assert quick.get("/large").body == large


# -- TLS, sockets, PROXY headers, checks --------------------------------------------------------------------------


def over_tls(port, *words):
    return f"""module tls; workers 1; upstream u {{ server 127.0.0.1:{port}; protocol h2; tls on; {' '.join(words)} }}
        site _ {{ proxy u; }}"""


def test_tls_with_alpn(weir, answering_h2, certificates):
    context = certificates.server("origin")
    context.set_alpn_protocols(["h2", "http/1.1"])
    origin = answering_h2(tls=context)
    one = weir(over_tls(origin.port, f"tls_ca {certificates.path('ca.crt')};"))
    client = connect(one)
    streams = [client.request(path=f"/{n}") for n in range(20)]
    for stream in streams:
        assert said(client.response(stream).body)[":scheme"] == "https"
    assert origin.accepted == 1


def test_a_certificate_of_weirs_own_and_checks_over_tls(weir, answering_h2, certificates):
    context = certificates.server("origin")
    context.set_alpn_protocols(["h2"])
    context.load_verify_locations(certificates.path("ca.crt"))
    context.verify_mode = ssl.CERT_REQUIRED
    origin = answering_h2(tls=context)
    one = weir(over_tls(origin.port, f"tls_ca {certificates.path('ca.crt')};",
                        f"tls_client_certificate {certificates['alice']};", "health_check uri=/up interval=100ms;"))
    assert one.get().status == 200
    eventually(lambda: any(asked.fields[":path"] == "/up" and asked.fields[":scheme"] == "https"
                           for asked in list(origin.requests)), "a check")
    assert metrics_of(one).sum("weir_upstream_checks_total", "result=bad") == 0


def test_a_tls_server_that_does_not_choose_it(weir, answering, certificates):
    context = certificates.server("origin")
    context.set_alpn_protocols(["http/1.1"])
    origin = answering(tls=context)
    one = weir(over_tls(origin.port, "tls_verify off;"))
    assert one.get().status == 502
    assert "did not choose HTTP/2 (ALPN h2): `protocol http1;` is what it speaks" in one.log() \
        or "alert" in one.log()
    assert origin.requests == []


def test_a_tls_server_without_alpn(weir, answering, certificates):
    origin = answering(tls=certificates.server("origin"))
    one = weir(over_tls(origin.port, "tls_verify off;"))
    assert one.get().status == 502
    assert "did not choose HTTP/2 (ALPN h2): `protocol http1;` is what it speaks" in one.log()


def test_a_certificate_that_does_not_fit(weir, answering_h2, certificates):
    context = certificates.server("stranger")
    context.set_alpn_protocols(["h2"])
    origin = answering_h2(tls=context)
    one = weir(over_tls(origin.port, f"tls_ca {certificates.path('ca.crt')};"))
    client = connect(one)
    streams = [client.request() for _ in range(5)]
    assert [client.response(stream).status for stream in streams] == [502] * 5
    assert "certificate of 127.0.0.1: name does not match" in one.log()


def test_a_unix_socket(weir, answering_h2, folder):
    answering_h2(address=str(folder / "s"))
    one = weir(f"upstream u {{ server unix:{folder}/s; protocol h2; }} site _ {{ proxy u; }}")
    assert one.get().status == 200


def test_a_proxy_header_names_one_client(weir, h2_origin):
    """So no two clients share a connection."""
    one = weir(upstream(h2_origin.port, "proxy_protocol v1;"))
    first, second = connect(one), connect(one)
    for client in (first, second):
        stream = client.request()
        connection = h2_origin.accept()
        words = connection.until(b"\r\n").decode().split()
        assert words[:2] == ["PROXY", "TCP4"] and int(words[4]) == client.stream.sock.getsockname()[1]
        server = http2_origin.ServingHttp2(connection)
        server.respond(server.asked().stream, body=b"1")
        assert client.response(stream).body == b"1"
        again = client.request()
        server.respond(server.asked().stream, body=b"2")
        assert client.response(again).body == b"2"
    assert h2_origin.accepted == 2


def test_health_checks_speak_it(weir, answering_h2):
    status = [200]
    origin = answering_h2(lambda asked: (status[0], [], b""))
    one = weir(upstream(origin.port, "health_check uri=/up interval=100ms fall=1 rise=1;"))
    eventually(lambda: any(asked.fields[":path"] == "/up" for asked in list(origin.requests)), "a check")
    assert one.get().status == 200
    asked = next(asked for asked in origin.requests if asked.fields[":path"] == "/up")
    assert asked.fields["user-agent"] == "weir-check" and asked.fields[":authority"] == f"127.0.0.1:{origin.port}"
    status[0] = 500
    eventually(lambda: one.get().status == 503, "the server is taken out")
    assert "status 500" in one.log()
    status[0] = 204
    eventually(lambda: one.get().status == 204, "and comes back")


# -- WebSockets (RFC 8441) ----------------------------------------------------------------------------------------

WEBSOCKET = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")


def test_a_websocket_is_an_extended_connect(weir, h2_origin):
    one = weir(upstream(h2_origin.port))
    client = one.connect().request("GET", "/chat?x=1", *WEBSOCKET, "Sec-WebSocket-Protocol: echo")
    server = h2_origin.serve({ENABLE_CONNECT: 1})
    stream, fields, over = server.head_of()
    seen = dict(fields)
    assert (seen[":method"], seen[":protocol"], seen[":path"], over) == ("CONNECT", "websocket", "/chat?x=1", False)
    assert seen["sec-websocket-version"] == "13" and seen["sec-websocket-protocol"] == "echo"
    for gone in ("sec-websocket-key", "upgrade", "connection", "content-length"):
        assert gone not in seen
    server.head(stream, 200, ("sec-websocket-protocol", "echo"))
    server.data(stream, b"early")
    answer = client.head()
    assert answer.status == 101 and answer.get("Upgrade") == "websocket" and answer.get("Connection") == "Upgrade"
    assert answer.get("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert answer.get("Sec-WebSocket-Protocol") == "echo"
    assert client.exactly(5) == b"early"
    client.send(b"hello")
    assert server.next_of(stream, DATA).payload == b"hello"
    server.data(stream, b"bye", end=True)
    assert client.exactly(3) == b"bye"
    client.half_close()
    while not server.next_of(stream, DATA).flags & END_STREAM:
        pass
    client.to_end()


def test_a_websocket_of_http_2_stays_one(weir, h2_origin):
    one = weir(upstream(h2_origin.port))
    client = connect(one)
    stream = client.headers([(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/"),
                             (":authority", "a.test"), ("sec-websocket-version", "13")], flags=END_HEADERS)
    server = h2_origin.serve({ENABLE_CONNECT: 1})
    number, fields, _ = server.head_of()
    assert dict(fields)[":protocol"] == "websocket"
    server.head(number, 200)
    head = client.next_of(stream, HEADERS)
    assert dict(head.payload)[":status"] == "200" and not head.flags & END_STREAM
    client.data(stream, b"ping")
    assert server.next_of(number, DATA).payload == b"ping"
    server.data(number, b"pong")
    assert client.next_of(stream, DATA).payload == b"pong"
    client.reset(stream)
    assert server.code_of(number) == CANCEL


def test_a_websocket_that_the_server_refuses(weir, h2_origin):
    one = weir(upstream(h2_origin.port))
    client = one.connect().request("GET", "/", *WEBSOCKET)
    server = h2_origin.serve({ENABLE_CONNECT: 1})
    stream, _, _ = server.head_of()
    server.respond(stream, 403, body=b"not here")
    answer = client.response()
    assert (answer.status, answer.body) == (403, b"not here")


@pytest.mark.parametrize("upgrade, why", [
    ("websocket", "the server takes no WebSockets over HTTP/2 (RFC 8441)"),
    ("tcp", "upgrade to a protocol that cannot go over HTTP/2"),
])
def test_upgrades_that_cannot_pass(weir, h2_origin, upgrade, why):
    one = weir(upstream(h2_origin.port))
    client = one.connect().request("GET", "/", *[line.replace("websocket", upgrade) if "Upgrade:" in line else line
                                                 for line in WEBSOCKET])
    if upgrade == "websocket":
        h2_origin.serve()
    assert client.response().status == 501
    assert why in one.log()
    client = one.connect().request()  # and the server is none the worse for it
    server = h2_origin.serve() if upgrade == "tcp" else None
    if server:
        server.respond(server.asked().stream)
        assert client.response().status == 200


def test_websockets_through_two_weirs(weir):
    """The second one is the HTTP/2 server of the first."""
    echo = EchoServer()
    try:
        inner = weir(f"site _ {{ proxy {echo.url}; }}")
        outer = weir(upstream(inner.http_port))
        socket = WebSocket(f"ws://127.0.0.1:{outer.http_port}/x", subprotocols=["echo"])
        for message in ("hello", b"\0" * 300000, "\u00fc" * 1000):
            assert socket.echo(message) == message
        assert socket.close() == 1000
        eventually(lambda: echo.codes, "the close handshake came through")
        assert metrics_of(outer).sum("weir_upstream_http2_connections") == 1
    finally:
        echo.stop()


# -- changes at run time ------------------------------------------------------------------------------------------


def test_reloads_and_drains_keep_and_end_connections(weir, h2_origin):
    one = weir(upstream(h2_origin.port))
    client = connect(one)
    stream = client.request(path="/1")
    server = h2_origin.serve()
    first = server.asked()
    one.reload(upstream(h2_origin.port) + " # again")
    second_stream = client.request(path="/2")
    second = server.asked()
    server.respond(first.stream, body=b"1")
    server.respond(second.stream, body=b"2")
    assert (client.response(stream).body, client.response(second_stream).body) == (b"1", b"2")
    assert h2_origin.accepted == 1
    done = one.cli("upstream", "u", "add", f"127.0.0.1:{h2_origin.port + 1}")
    assert done.returncode == 0, done.stderr
    done = one.cli("upstream", "u", "remove", f"127.0.0.1:{h2_origin.port}")
    assert done.returncode == 0, done.stderr
    server.ends()
    assert server.goaway_frame == (0, NO_ERROR)


def test_explain_says_what_is_spoken(weir, answering_h2):
    origin = answering_h2()
    one = weir(upstream(origin.port))
    done = one.cli("explain", "GET", f"http://a.test:{one.http_port}/")
    assert done.returncode == 0 and "by round_robin in HTTP/2" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("version", [1, 2])
def test_large_heads_both_ways(weir, answering_h2, version):
    """Frames of 16 KB do not hold them, nor would a codec's own idea of what is enough."""
    value = "v" * 60000

    def answer(asked):
        assert asked.fields["x-large"] == value and asked.fields["x-larger"] == value
        return 200, [("x-back", value)], b"ok"

    origin = answering_h2(answer)
    one = weir("max_header_size 200k; " + upstream(origin.port))
    if version == 1:
        got = one.connect().get("/", f"X-Large: {value}", f"X-Larger: {value}")
        assert got.status == 200 and got.get("X-Back") == value
    else:
        got = connect(one).get("/", ("x-large", value), ("x-larger", value))
        assert got.status == 200 and got["x-back"] == value


def test_grpc_shaped_answers_survive_either_version(weir, origin, h2_origin):
    """An HTTP/1.1 origin behind a client of HTTP/2: trailers come as trailers; and the other way round."""
    one = weir(f"upstream h1 {{ server 127.0.0.1:{origin.port}; }} "
               f"upstream h2 {{ server 127.0.0.1:{h2_origin.port}; protocol h2; }} "
               "site one.test { proxy h1; } site two.test { proxy h2; }")
    client = connect(one)
    stream = client.request(("te", "trailers"), ("content-type", "application/grpc"), method="POST",
                            path="/s/M", authority="one.test", body=b"\0\0\0\0\1x")
    connection = origin.take()
    request = connection.request()
    assert request.get("TE") == "trailers" and request.body == b"\0\0\0\0\1x"
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"6\r\n\0\0\0\0\1y\r\n0\r\ngrpc-status: 0\r\ngrpc-message: fine\r\n\r\n")
    answer = client.response(stream)
    assert answer.body == b"\0\0\0\0\1y" and answer.trailers == {"grpc-status": "0", "grpc-message": "fine"}
    old = one.connect()
    old.request("POST", "/s/M", "TE: trailers", "Content-Type: application/grpc", host="two.test",
                body=b"\0\0\0\0\1x")
    server = h2_origin.serve()
    asked = server.asked()
    assert asked.fields["te"] == "trailers" and asked.body == b"\0\0\0\0\1x"
    server.respond(asked.stream, 200, ("content-type", "application/grpc"), body=b"\0\0\0\0\1y",
                   trailers=[("grpc-status", "0"), ("grpc-message", "fine")])
    answer = old.response()
    assert answer.body == b"\0\0\0\0\1y" and set(answer.trailers) == {("grpc-status", "0"), ("grpc-message", "fine")}


def test_a_websocket_for_a_server_that_never_settles(weir, h2_origin):
    """It waits for SETTINGS, once."""
    one = weir(upstream(h2_origin.port))
    client = one.connect().request("GET", "/", *WEBSOCKET)
    connection = h2_origin.accept()
    connection.until(http2.PREFACE)
    connection.close()
    assert client.response().status == 502
    assert h2_origin.is_quiet()
    client = one.connect().request("GET", "/", *WEBSOCKET)
    server = h2_origin.serve(start=False)
    server.send(http2.pack(http2.SETTINGS, 0, 0) + http2.pack(http2.GOAWAY, 0, 0, bytes(8)))
    assert client.response().status == 502
    server.ends()
    h2_origin.take_all()
    assert h2_origin.accepted == 2


def test_a_port_where_nobody_listens(weir):
    one = weir(upstream(free_port()))
    client = connect(one)
    streams = [client.request() for _ in range(10)]
    assert {client.response(stream).status for stream in streams} <= {502, 503}
    assert "connection refused" in one.log().lower()


def test_a_head_without_content_whose_stream_ends_later_is_not_reset(weir, h2_origin):
    """Servers may end it by an empty DATA frame; a reset for each would look like an attack to them."""
    one = weir(upstream(h2_origin.port))
    client = one.connect()
    client.request("HEAD")
    server = h2_origin.serve()
    first = server.asked().stream
    server.head(first, 200, ("content-length", "5"))
    assert client.response("HEAD").status == 200
    server.data(first, end=True)
    client.request()
    second = server.asked().stream
    server.respond(second, body=b"next")
    assert client.response().body == b"next"
    assert server.is_alive()
    assert [frame for frame in server.queues[first] if frame.type == http2.RST_STREAM] == []
