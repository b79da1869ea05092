# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/2 from clients to HTTP/1.1 origins: what passes, both ways."""

import pytest

from lib import daemon, http2
from lib.http2 import CANCEL, INITIAL_WINDOW, NO_ERROR, PREFACE, Http2, Reset
from lib.message import Closed
from lib.origin import Origin
from lib.patience import eventually
from lib.program import curl

MB = 1024 * 1024


class Stage:
    def __init__(self, weir, origin):
        self.weir, self.origin = weir, origin
        self.opened = []

    def client(self, **how):
        client = http2.connect(self.weir, **how)
        self.opened.append(client)
        return client

    def clear(self):
        for client in self.opened:
            client.stream.reset()
        self.opened.clear()
        eventually(lambda: self.weir.status()["connections"] == 0, "the test's connections are over")
        self.origin.close_all()


@pytest.fixture(scope="module")
def house(session_folder):
    origin = Origin()
    log = session_folder / "http2.log"
    text = (f'workers 1;\nmodule access-log;\n'
            f'access_log {log} "$protocol $method $host $uri $status $body_bytes_sent $connection_requests";\n'
            f"site _ {{ proxy {origin.url}; route = /own {{ respond 200 own; }} route /small/ {{ max_body 10; "
            f"proxy {origin.url}; }} }}")
    try:
        with daemon.serving(text) as weir:
            stage = Stage(weir, origin)
            stage.log = log
            yield stage
    finally:
        origin.stop()


@pytest.fixture
def stage(house):
    yield house
    house.clear()


def test_get_by_prior_knowledge(stage):
    client = stage.client()
    stream = client.request(("x-a", "1"), ("cookie", "a=1"), ("cookie", "b=2"), path="/x?y=z")
    connection = stage.origin.take()
    request = connection.request()
    assert (request.method, request.target) == ("GET", "/x?y=z")
    assert request.get("Host") == "a.test" and request.get("X-A") == "1"
    assert request.get("Cookie") == "a=1; b=2"
    assert request.get("Via") == "2.0 weir"
    assert not any(name.startswith(":") for name, _ in request.fields)
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n"
                    b"X-Mixed: Ab\r\n\r\nhello")
    answer = client.response(stream)
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer["x-mixed"] == "Ab" and answer["content-length"] == "5"
    assert not {"connection", "keep-alive", "x-hop", "transfer-encoding"} & set(answer.fields)


def test_the_log_names_the_protocol(stage):
    client = stage.client()
    assert client.get("/own").body == b"own"
    assert client.get("/own?again").body == b"own"
    stage.clear()
    eventually(lambda: stage.weir.cli("reload").returncode == 0, "reload")
    lines = "HTTP/2.0 GET a.test /own 200 3 1\nHTTP/2.0 GET a.test /own?again 200 3 2\n"
    eventually(lambda: lines in stage.log.read_text(), "the lines")


def test_streams_are_answered_in_any_order(stage):
    client = stage.client()
    first = client.request(path="/1")
    one = stage.origin.take()
    one.request()
    second = client.request(path="/2")
    two = stage.origin.take()
    two.request()
    two.reply(body=b"second")
    assert client.response(second).body == b"second"
    one.reply(body=b"first")
    assert client.response(first).body == b"first"


def test_chunked_answer_with_trailers(stage):
    client = stage.client()
    stream = client.request(("te", "trailers"))
    connection = stage.origin.take()
    assert connection.request().get("TE") == "trailers"
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                    b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n")
    answer = client.response(stream)
    assert answer.body == b"abc" and answer.trailers == {"x-sum": "1"}
    assert "transfer-encoding" not in answer.fields


def test_request_with_trailers(stage):
    client = stage.client()
    stream = client.request(method="POST", end=False)
    client.data(stream, b"abc")
    client.headers([("x-sum", "1"), ("content-length", "3")], stream=stream)
    connection = stage.origin.take()
    request = connection.request()
    assert request.framing == "chunked" and request.body == b"abc"
    assert [(name.lower(), value) for name, value in request.trailers] == [("x-sum", "1")]
    connection.reply()
    assert client.response(stream).status == 200


def test_post_with_a_length(stage):
    client = stage.client()
    stream = client.request(("content-length", "5"), method="POST", body=b"hello")
    connection = stage.origin.take()
    request = connection.request()
    assert request.length == 5 and request.body == b"hello"
    connection.reply(204)
    assert client.response(stream).status == 204


def test_each_piece_of_an_upload_arrives_before_the_next_is_sent(stage):
    client = stage.client()
    stream = client.request(method="PUT", end=False)
    connection = stage.origin.take()
    assert connection.head().framing == "chunked"
    for number in range(5):
        client.data(stream, b"abcd%d" % number)
        assert connection.chunk() == b"abcd%d" % number
    client.data(stream, b"", end=True)
    assert connection.chunk() == b"" and connection.trailers() == []
    connection.reply()
    assert client.response(stream).status == 200


def test_the_first_byte_of_an_answer_arrives_before_the_last_is_sent(stage):
    client = stage.client()
    stream = client.request()
    connection = stage.origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
    assert dict(client.next_of(stream).payload)[":status"] == "200"
    for byte in (b"1", b"2", b"3"):
        connection.send(byte)
        assert client.next_of(stream).payload == byte


def test_interim_responses(stage):
    client = stage.client()
    stream = client.request(("expect", "100-continue"), method="POST", end=False)
    connection = stage.origin.take()
    assert connection.head().get("Expect") == "100-continue"
    connection.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    assert dict(client.next_of(stream).payload) == {":status": "100"}
    hints = dict(client.next_of(stream).payload)
    assert hints[":status"] == "103" and hints["link"] == "</a>"
    client.data(stream, b"x", end=True)
    assert connection.chunk() == b"x"
    connection.chunk(), connection.trailers()
    connection.reply(body=b"ok")
    answer = client.response(stream)
    assert (answer.status, answer.body) == (200, b"ok")


def test_head_and_not_modified_have_no_content(stage):
    client = stage.client()
    stream = client.request(method="HEAD")
    connection = stage.origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    answer = client.response(stream)
    assert answer["content-length"] == "5" and answer.body == b""
    stream = client.request()
    connection = stage.origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n")
    assert client.response(stream).status == 304


def test_refused_before_the_body_is_whole(stage):
    """RFC 9113 8.1: a complete answer, then NO_ERROR says that the rest is not needed."""
    client = stage.client()
    stream = client.request(("content-length", "1000"), method="POST", path="/small/", end=False)
    assert client.response(stream).status == 413
    assert client.code_of(stream) == NO_ERROR
    client.data(stream, b"x" * 100)  # was on its way
    assert client.get("/own").status == 200


def test_reset_ends_the_request_at_the_origin(stage):
    client = stage.client()
    stream = client.request()
    connection = stage.origin.take()
    connection.request()
    client.reset(stream)
    assert connection.is_closed()
    assert client.get("/own").status == 200


def test_an_answer_cut_by_the_origin_resets_the_stream(stage):
    client = stage.client()
    stream = client.request()
    connection = stage.origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    connection.close()
    with pytest.raises(Reset) as reset:
        client.response(stream)
    assert reset.value.code == http2.INTERNAL_ERROR
    assert client.is_alive()


def test_the_client_goes_away(stage):
    client = stage.client()
    streams = [client.request(path=f"/{number}") for number in range(3)]
    connections = [stage.origin.take() for _ in streams]
    client.stream.close()
    for connection in connections:
        connection.rest = b""
        assert connection.is_closed()


def test_a_client_that_sends_no_more_is_gone(stage):
    """A FIN without a reset: it could give no window any more and answer no PING. Its requests end."""
    client = stage.client()
    client.is_alive()
    client.request()
    connection = stage.origin.take()
    connection.request()
    client.stream.half_close()
    assert connection.is_closed()
    client.ends()


@pytest.mark.parametrize("size", [0, 1, 16384, 65536, 300000])
def test_content_of_any_size(stage, size):
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    client = stage.client()
    stream = client.request()
    connection = stage.origin.take()
    connection.request()
    connection.reply(body=content)
    assert client.response(stream).body == content


def test_a_full_window_waits_for_the_client(stage):
    client = stage.client(settings={INITIAL_WINDOW: 10}, gives=False)
    stream = client.request()
    connection = stage.origin.take()
    connection.request()
    connection.reply(body=b"a" * 25)
    client.next_of(stream)
    assert client.next_of(stream).payload == b"a" * 10
    assert client.get("/own").body == b"own"  # the others go on
    client.window(stream, 10)
    assert client.next_of(stream).payload == b"a" * 10
    client.window(stream, 10)
    assert client.next_of(stream).payload == b"a" * 5


def test_an_origin_that_does_not_read_stops_its_stream_alone(stage):
    """What the origin does not take is bounded by the stream's window; other streams go on."""
    client = stage.client()
    slow = client.request(method="POST", end=False, path="/slow")
    connection = stage.origin.take()
    connection.head()
    window, sent = 65535, 0
    while sent < 16 * MB:
        if window < 16384:
            client.is_alive()  # what was given back up to here has come then
            given = [frame for frame in client.queues[slow] if frame.type == http2.WINDOW_UPDATE]
            client.queues[slow].clear()
            window += sum(int.from_bytes(frame.payload, "big") for frame in given)
            if window < 16384:
                break
        client.frame(http2.DATA, 0, slow, b"x" * 16384)
        window -= 16384
        sent += 16384
    assert sent < 16 * MB
    assert client.get("/own").body == b"own"
    fast = client.request(method="POST", body=b"quick", path="/fast")
    other = stage.origin.accept()
    assert other.request().body == b"quick"
    other.reply()
    assert client.response(fast).status == 200


def test_a_client_that_upgrades_in_http1_stays_there(stage):
    """RFC 9113 3.1: the upgrade is gone; h2c is neither spoken nor passed on."""
    client = stage.weir.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
    connection = stage.origin.take()
    request = connection.request()
    assert request.get("Upgrade") is None and request.get("HTTP2-Settings") is None
    connection.reply()
    assert client.response().status == 200
    client.reset()


@pytest.mark.parametrize("preface", [b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"PRI / HTTP/1.1\r\nHost: a\r\n\r\n",
                                     PREFACE[:20] + b"XX\r\n"])
def test_a_broken_preface_is_not_answered(stage, preface):
    client = stage.weir.connect()
    client.send(preface)
    try:
        assert b"HTTP/1" not in client.to_end()
    except Closed:
        pass


def test_the_preface_may_come_byte_by_byte(stage):
    client = stage.client(start=False)
    for byte in PREFACE + Http2.settings_frame({}):
        client.send(bytes([byte]))
    assert client.get("/own").body == b"own"


def test_methods_that_begin_alike(stage):
    client = stage.weir.connect()
    client.send(b"P")
    client.send(b"R")
    client.send(b"OPFIND /own HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.response().status == 200
    client.reset()


def test_curl_by_prior_knowledge(stage):
    done = curl("--http2-prior-knowledge", "-w", " %{http_version}", f"http://127.0.0.1:{stage.weir.http_port}/own")
    assert done.stdout == b"own 2"


def test_a_stream_that_is_cancelled_while_it_is_sent(stage):
    client = stage.client(settings={INITIAL_WINDOW: 100}, gives=False)
    stream = client.request()
    connection = stage.origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 900)
    client.next_of(stream, http2.DATA)
    client.reset(stream, CANCEL)
    assert connection.is_closed()
    assert client.is_alive()


# -- with TLS, and switched off ----------------------------------------------------------------------------------------


def test_by_alpn(weir, certificates, answering):
    origin = answering()
    house = weir("module tls; site a.test { tls_certificate %s; proxy %s; }\n"
                 "site b.test { tls_certificate %s; http2 off; respond 200 b; }"
                 % (certificates["a"], origin.url, certificates["b"]))
    client = http2.connect_tls(house, certificates)
    assert client.get(scheme="https").status == 200
    done = curl("--cacert", certificates.path("ca.crt"), "--resolve", f"a.test:{house.https_port}:127.0.0.1",
                "-o", "/dev/null", "-w", "%{http_version} %{http_code}", f"https://a.test:{house.https_port}/")
    assert done.stdout == b"2 200"
    other = house.connect_tls(certificates.client(alpn=["h2", "http/1.1"]), name="b.test")
    assert other.sock.selected_alpn_protocol() == "http/1.1"
    assert other.get(host="b.test").body == b"b"


def test_a_broken_preface_behind_alpn_is_a_goaway(weir, certificates):
    house = weir("module tls; site a.test { tls_certificate %s; respond 200 a; }" % certificates["a"])
    client = http2.connect_tls(house, certificates, start=False)
    client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert client.pump().type == http2.SETTINGS  # RFC 9113 3.4: whatever else there is to say
    assert client.goaway() == http2.PROTOCOL_ERROR


def test_switched_off_in_clear_text(weir):
    house = weir("http2 off; site _ { respond 200 a; }")
    client = house.connect()
    client.send(PREFACE + Http2.settings_frame({}))
    assert client.response().status == 505
