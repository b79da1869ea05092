# SPDX-License-Identifier: BSD-2-Clause
"""gRPC through weir, client and server being python3-grpcio: in clear text and over TLS on either side."""

import concurrent.futures
import queue
import threading
import time

import pytest

from lib.patience import PATIENCE, eventually

grpc = pytest.importorskip("grpc", reason="python3-grpcio is not installed (./dev setup test)")

MOST = 16 * 1024 * 1024
SIZES = [("grpc.max_receive_message_length", MOST), ("grpc.max_send_message_length", MOST)]


class Service:
    """Messages are bytes: nothing is generated."""

    def __init__(self):
        self.begun, self.cancelled = threading.Event(), threading.Event()
        self.seen = queue.Queue()

    def unary(self, request, context):
        metadata = dict(context.invocation_metadata())
        self.seen.put(metadata)
        context.send_initial_metadata((("x-initial", metadata.get("x-sent", "")),))
        context.set_trailing_metadata((("x-trailing", "t"), ("x-data-bin", b"\0\1\xff")))
        return request

    def fail(self, request, context):
        context.set_trailing_metadata((("x-why", "said"),))
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: 100%, \u00fc")

    def slow(self, request, context):
        if not context.add_callback(self.cancelled.set):  # over already
            self.cancelled.set()
        self.begun.set()
        self.cancelled.wait(PATIENCE)
        context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "which either end may see first")

    def server_stream(self, request, context):
        for n in range(int(request)):
            yield b"%d" % n

    def client_stream(self, requests, context):
        return b",".join(requests)

    def bidi(self, requests, context):
        for request in requests:
            if request == b"fail":
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, "in the middle")
            yield b"re: " + request

    def handler(self):
        calls = {"Unary": grpc.unary_unary_rpc_method_handler(self.unary),
                 "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
                 "Slow": grpc.unary_unary_rpc_method_handler(self.slow),
                 "ServerStream": grpc.unary_stream_rpc_method_handler(self.server_stream),
                 "ClientStream": grpc.stream_unary_rpc_method_handler(self.client_stream),
                 "Bidi": grpc.stream_stream_rpc_method_handler(self.bidi)}
        return grpc.method_handlers_generic_handler("test.Echo", calls)


class Stub:
    def __init__(self, channel):
        self.unary, self.fail, self.slow = (channel.unary_unary(f"/test.Echo/{name}")
                                            for name in ("Unary", "Fail", "Slow"))
        self.server_stream = channel.unary_stream("/test.Echo/ServerStream")
        self.client_stream = channel.stream_unary("/test.Echo/ClientStream")
        self.bidi = channel.stream_stream("/test.Echo/Bidi")


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Both:
    """A server, a weir in front of it, and a client of that."""

    def __init__(self, weir, certificates, client_tls, server_tls):
        self.service = Service()
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(16), options=SIZES)
        self.server.add_generic_rpc_handlers((self.service.handler(),))
        if server_tls:
            pair = (read(certificates.path("origin.key")), read(certificates.path("origin.crt")))
            port = self.server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
        else:
            port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        tls = f"tls on; tls_ca {certificates.path('ca.crt')};" if server_tls else ""
        self.weir = weir(f"""{"module tls;" if client_tls or server_tls else ""} max_body 32m;
            module access-log; access_log access.log "$method $path $status" buffer=0;
            upstream u {{ server 127.0.0.1:{port}; protocol h2; {tls} }}
            site a.test {{ {f"tls_certificate {certificates['a']};" if client_tls else ""} proxy u; }}""")
        if client_tls:
            trust = grpc.ssl_channel_credentials(read(certificates.path("ca.crt")))
            self.channel = grpc.secure_channel(f"127.0.0.1:{self.weir.https_port}", trust, options=[
                *SIZES, ("grpc.ssl_target_name_override", "a.test"), ("grpc.default_authority", "a.test")])
        else:
            self.channel = grpc.insecure_channel(f"127.0.0.1:{self.weir.http_port}", options=[
                *SIZES, ("grpc.default_authority", "a.test")])
        self.stub = Stub(self.channel)

    def stop(self):
        self.channel.close()
        self.server.stop(None).wait()


@pytest.fixture(params=[(False, False), (True, True), (True, False), (False, True)],
                ids=["clear", "tls", "tls-to-clear", "clear-to-tls"])
def both(request, weir, certificates):
    one = Both(weir, certificates, *request.param)
    yield one
    one.stop()


def test_one_message_each_way(both):
    answer, call = both.stub.unary.with_call(b"hello", timeout=PATIENCE,
                                              metadata=(("x-sent", "m"), ("a-bin", b"\xff\0")))
    assert answer == b"hello" and call.code() == grpc.StatusCode.OK
    assert dict(call.initial_metadata())["x-initial"] == "m"
    trailing = dict(call.trailing_metadata())
    assert trailing["x-trailing"] == "t" and trailing["x-data-bin"] == b"\0\1\xff"
    seen = both.service.seen.get(timeout=PATIENCE)
    assert seen["a-bin"] == b"\xff\0" and seen["user-agent"].startswith("grpc-python/")
    for _ in range(50):
        assert both.stub.unary(b"again", timeout=PATIENCE) == b"again"


def test_a_status_without_a_message(both):
    with pytest.raises(grpc.RpcError) as failure:
        both.stub.fail(b"", timeout=PATIENCE)
    assert failure.value.code() == grpc.StatusCode.NOT_FOUND
    assert failure.value.details() == "no such thing: 100%, \u00fc"
    assert dict(failure.value.trailing_metadata())["x-why"] == "said"


def test_a_method_that_is_not_there(both):
    with pytest.raises(grpc.RpcError) as failure:
        both.channel.unary_unary("/test.Echo/Nothing")(b"", timeout=PATIENCE)
    assert failure.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_streams_one_way(both):
    assert list(both.stub.server_stream(b"500", timeout=PATIENCE)) == [b"%d" % n for n in range(500)]
    assert both.stub.client_stream(iter([b"%d" % n for n in range(500)]), timeout=PATIENCE) == \
        b",".join(b"%d" % n for n in range(500))


def test_both_ways_message_by_message(both):
    """Each answer is there before the next question is asked: nothing is held back on the way."""
    questions = queue.Queue()
    call = both.stub.bidi(iter(questions.get, None), timeout=PATIENCE * 2)
    for n in range(20):
        questions.put(b"%d" % n)
        assert next(call) == b"re: %d" % n
    questions.put(None)
    assert list(call) == [] and call.code() == grpc.StatusCode.OK


def test_a_failure_in_the_middle(both):
    questions = queue.Queue()
    call = both.stub.bidi(iter(questions.get, None), timeout=PATIENCE)
    questions.put(b"1")
    assert next(call) == b"re: 1"
    questions.put(b"fail")
    with pytest.raises(grpc.RpcError) as failure:
        next(call)
    assert failure.value.code() == grpc.StatusCode.FAILED_PRECONDITION and failure.value.details() == "in the middle"
    questions.put(None)
    assert both.stub.unary(b"still", timeout=PATIENCE) == b"still"


def test_large_messages(both):
    large = bytes(range(256)) * 32 * 1024  # 8 MB
    assert both.stub.unary(large, timeout=PATIENCE * 2) == large


def test_many_calls_at_once(both):
    calls = [both.stub.unary.future(b"%d" % n, timeout=PATIENCE * 2) for n in range(200)]
    assert [call.result() for call in calls] == [b"%d" % n for n in range(200)]


def test_a_deadline_that_expires_reaches_the_server(both):
    began, deadline = time.monotonic(), 0.3
    while not both.service.begun.is_set():  # it may expire on the way there
        with pytest.raises(grpc.RpcError) as failure:
            both.stub.slow(b"", timeout=deadline)
        assert failure.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert time.monotonic() - began < PATIENCE
        deadline *= 2
    assert both.service.cancelled.wait(PATIENCE)
    assert both.stub.unary(b"still", timeout=PATIENCE) == b"still"


def test_a_call_that_is_taken_back_reaches_the_server(both):
    call = both.stub.slow.future(b"", timeout=PATIENCE * 2)
    assert both.service.begun.wait(PATIENCE)
    time_of_request = lambda: "Slow" in (both.weir.folder / "access.log").read_text()
    assert both.stub.unary(b"before", timeout=PATIENCE) == b"before"
    call.cancel()
    assert both.service.cancelled.wait(PATIENCE)
    eventually(time_of_request, "a line of it in the log")


def test_a_server_that_is_gone_is_unavailable(both):
    assert both.stub.unary(b"1", timeout=PATIENCE) == b"1"
    both.server.stop(None).wait()
    with pytest.raises(grpc.RpcError) as failure:
        both.stub.unary(b"2", timeout=PATIENCE)
    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE
