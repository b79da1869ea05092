# SPDX-License-Identifier: BSD-2-Clause
"""Chromium through weir: pages over HTTP/2 with all that they load, uploads, events, WebSockets over HTTP/2; to origins
that speak HTTP/1.1, and through a second weir that is asked in HTTP/2 as well."""

import contextlib
import re

import pytest

from lib import daemon
from lib.origin import AnsweringOrigin, Origin
from lib.patience import PATIENCE, eventually
from lib.ports import free_port
from lib.websocket import EchoServer

PICTURES = 150
BLANK = b"<!doctype html><meta charset=utf-8><title>blank</title><link rel=icon href=data:,><p>blank</p>"
LOG = "$host $protocol $method $uri $status $upstream_status $client_port $connection_requests $bytes_received"


def answer(content, kind="text/html", *fields):
    head = "".join(f"{line}\r\n" for line in ["HTTP/1.1 200 OK", f"Content-Type: {kind}",
                                               f"Content-Length: {len(content)}", "Cache-Control: no-store", *fields])
    return head.encode() + b"\r\n" + content


def gallery():
    pictures = "".join(f'<img src="/picture/{number}">' for number in range(PICTURES))
    return BLANK + b"<script src=/script></script><link rel=stylesheet href=/style>" + pictures.encode()


def site(request):
    """What the pages are made of."""
    if request.target.startswith("/picture/"):
        number = int(request.target.rpartition("/")[2])
        return answer(f'<svg xmlns="http://www.w3.org/2000/svg" width="{number + 1}" height="1"/>'.encode(),
                      "image/svg+xml")
    if request.target == "/gallery":
        return answer(gallery())
    if request.target == "/script":
        return answer(b"window.loaded = 'script';" + b"/" * 300000, "application/javascript")
    if request.target == "/style":
        return answer(b"p { color: rgb(1, 2, 3) }", "text/css")
    if request.target == "/sum":
        return answer(f"{request.method} {len(request.body)} {sum(request.body)} {request.framing}".encode(),
                      "text/plain")
    if request.target == "/cookies":
        return answer((request.get("Cookie") or "none").encode(), "text/plain")
    if request.target == "/bytes":
        return answer(bytes(range(256)) * 40000, "application/octet-stream")
    return answer(BLANK)


class House:
    """Three sites with TLS: two names of one certificate, and one that speaks no HTTP/2."""

    def __init__(self, folder, certificates, second):
        """second: a weir between this one and the origins, asked in HTTP/2."""
        self.origin, self.played, self.echo = AnsweringOrigin(site), Origin(), EchoServer()
        self.log = folder / f"browser{second:d}.log"
        routes = f"""
            proxy {self.origin.url};
            route /socket {{ proxy {self.echo.url}; }}
            route /nothing {{ proxy {self.origin.url}; }}
            route /played/ {{ proxy {self.played.url}; }}
        """
        self.stack = contextlib.ExitStack()
        self.second = second and self.stack.enter_context(daemon.serving(f"workers 1; site _ {{ {routes} }}"))
        if second:
            routes = "proxy second;"
        text = f"""
            workers 2;
            access_log {self.log} "{LOG}";
            {f'upstream second {{ server 127.0.0.1:{self.second.http_port}; protocol h2; }}' if second else ''}
            site x.b.test y.b.test {{ tls_certificate {certificates['b']}; {routes} }}
            site a.test {{ tls_certificate {certificates['a']}; http2 off; {routes} }}
        """
        self.serving = daemon.serving(text, modules=["tls", "access-log"])

    def url(self, path="/", host="x.b.test"):
        return f"https://{host}:{self.weir.https_port}{path}"

    def lines(self, target, host="x.b.test", least=1):
        """Of the access log, by its variables' names: those of a target (an expression), once so many are there."""
        def found():
            self.weir.cli("reload")  # writes what is buffered
            lines = [dict(zip(LOG.replace("$", "").split(), line.split())) for line in self.log.read_text().split("\n")]
            lines = [line for line in lines if line.get("host") == host and re.fullmatch(target, line["uri"])]
            return (lines,) if len(lines) >= least else None
        return eventually(found, f"{target} in the log")[0]

    def __enter__(self):
        self.weir = self.stack.enter_context(self.serving)
        return self

    def __exit__(self, *end):
        self.origin.stop()
        self.echo.stop()
        self.played.stop()
        self.stack.__exit__(*end)


@pytest.fixture(scope="module", params=["http1", "h2"])
def house(request, session_folder, certificates, chromium):
    with House(session_folder, certificates, second=request.param == "h2") as one:
        yield one


@pytest.fixture
def page(browser, house):
    """A page over HTTP/2."""
    browser.open(house.url())
    assert browser.protocols() == ["h2"]
    yield browser
    browser.open("about:blank")
    house.played.close_all()


# -- pages -------------------------------------------------------------------------------------------------------------


def test_a_page_and_all_that_it_loads_share_one_connection(browser, house):
    browser.open(house.url("/gallery"))
    assert browser.run("return window.loaded") == "script"
    assert browser.run("return [...document.images].map(one => one.width)") == [n + 1 for n in range(PICTURES)]
    assert browser.run("return getComputedStyle(document.querySelector('p')).color") == "rgb(1, 2, 3)"
    assert browser.protocols() == ["h2"] * (PICTURES + 3)
    lines = house.lines("/(gallery|script|style|picture/.*)", least=PICTURES + 3)
    assert len({line["client_port"] for line in lines}) == 1
    assert {(line["protocol"], line["status"]) for line in lines} == {("HTTP/2.0", "200")}


def test_names_of_one_certificate_share_the_connection(page, house):
    """RFC 9113 9.1.1: a browser that knows y.b.test's address and certificate asks on the connection of x.b.test."""
    page.run("await fetch(arguments[0], {mode: 'no-cors', credentials: 'include'})", house.url("/other", "y.b.test"))
    assert house.lines("/other", host="y.b.test")[-1]["client_port"] == house.lines("/")[-1]["client_port"]


def test_where_http2_is_off_http1_is_spoken(browser, house):
    browser.open(house.url(host="a.test"))
    assert browser.protocols() == ["http/1.1"]


def test_cookies(page):
    """A browser may send them in crumbs: the origin sees one field."""
    page.run("for (const one of ['a=1', 'b=2', 'c=3']) document.cookie = one + '; path=/'")
    assert page.run("return await (await fetch('/cookies')).text()") == "a=1; b=2; c=3"


def test_ten_megabytes(page):
    script = """const bytes = new Uint8Array(await (await fetch('/bytes')).arrayBuffer());
                return [bytes.length, bytes.every((byte, at) => byte === at % 256)];"""
    assert page.run(script) == [10240000, True]


def test_a_download_that_is_given_up(page, house):
    """Its stream ends, at the origin too; the connection goes on."""
    page.run("window.giving = new AbortController();"
             "window.download = fetch('/played/endless', {signal: giving.signal});")
    connection = house.played.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 100000)
    assert page.run("return (await download).status") == 200
    page.run("giving.abort()")
    assert connection.is_closed()
    page.run("await fetch('/after')")
    assert house.lines("/after")[-1]["client_port"] == house.lines("/played/endless")[-1]["client_port"]


# -- uploads -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 100000, 3000000])
def test_an_upload(page, size):
    script = "return await (await fetch('/sum', {method: 'PUT', body: new Uint8Array(arguments[0]).fill(7)})).text()"
    assert page.run(script, size) == f"PUT {size} {size * 7} length"


def test_an_upload_as_a_form(page):
    script = """const form = new FormData(); form.append('file', new Blob(['x'.repeat(70000)]), 'file.bin');
                return await (await fetch('/sum', {method: 'POST', body: form})).text()"""
    assert re.fullmatch(r"POST 7\d{4} \d+ length", page.run(script))


def test_an_upload_of_unknown_length_arrives_piece_by_piece(page, house):
    """Chromium streams request bodies over HTTP/2 alone."""
    page.run("""const {readable, writable} = new TransformStream();
                window.pen = writable.getWriter();
                window.answered = fetch('/played/stream', {method: 'POST', body: readable, duplex: 'half'});""")
    connection = house.played.take()
    assert connection.head().framing == "chunked"
    for word in ("one", "two", "three"):
        page.run("await pen.write(new TextEncoder().encode(arguments[0]))", word)
        assert connection.chunk() == word.encode()
    page.run("await pen.close()")
    assert connection.chunk() == b"" and connection.trailers() == []
    connection.reply(body=b"taken")
    assert page.run("return await (await answered).text()") == "taken"


# -- events ------------------------------------------------------------------------------------------------------------


def test_events_arrive_one_by_one(page, house):
    page.run("""window.heard = [];
                window.source = new EventSource('/played/events');
                source.onmessage = event => heard.push(event.data);""")
    connection = house.played.take()
    assert connection.request().get("Accept") == "text/event-stream"
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nretry: 1\n\n")
    for number in range(5):
        connection.send(b"id: %d\ndata: event %d\n\n" % (number, number))
        page.until(f"return heard.length === {number + 1}")
    assert page.run("return heard") == [f"event {number}" for number in range(5)]
    connection.close()
    again = house.played.take()
    assert again.request().get("Last-Event-ID") == "4"
    again.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: again\n\n")
    page.until("return heard.at(-1) === 'again'")
    page.run("source.close()")
    assert again.is_closed()


# -- WebSockets --------------------------------------------------------------------------------------------------------

OPEN = """window.socket = new WebSocket(arguments[0], arguments[1] || []);
          socket.binaryType = 'arraybuffer';
          window.heard = []; window.ended = null;
          socket.onmessage = event => heard.push(event.data);
          socket.onclose = event => ended = [event.code, event.reason, event.wasClean];
          return await new Promise(done => {
              socket.onopen = () => done(['open', socket.protocol, socket.extensions]);
              socket.onerror = () => done(['error', '', '']);
          });"""


def open_socket(page, house, path="/socket", host="x.b.test", protocols=None):
    return page.run(OPEN, house.url(path, host).replace("https:", "wss:"), protocols)


@pytest.fixture
def talking(page, house):
    """A page with a WebSocket."""
    state, protocol, extensions = open_socket(page, house, protocols=["chat", "echo"])
    assert (state, protocol) == ("open", "echo") and "permessage-deflate" in extensions
    return page


def test_a_websocket_is_a_stream_of_the_pages_connection(page, house):
    """RFC 8441: over HTTP/2 it is a CONNECT; what the origin sees is the handshake of HTTP/1.1."""
    assert open_socket(page, house, "/socket/one")[0] == "open"
    page.run("socket.send('through')")
    page.until("return heard.length === 1")
    page.run("socket.close(1000)")
    page.until("return ended")
    line, of_page = house.lines("/socket/one")[-1], house.lines("/")[-1]
    assert (line["protocol"], line["status"], line["upstream_status"]) == ("HTTP/2.0", "200", "101")
    assert line["client_port"] == of_page["client_port"]
    assert int(line["connection_requests"]) > int(of_page["connection_requests"])
    shaken = house.echo.handshakes[-1]
    assert shaken["Upgrade"] == "websocket" and shaken["Sec-WebSocket-Version"] == "13"
    assert shaken["Origin"] == house.url("")


def test_messages_come_back(talking):
    for message in ("short", "ü" * 1000, "x" * 1000000, ""):
        talking.run("heard.length = 0; socket.send(arguments[0])", message)
        talking.until("return heard.length === 1")
        assert talking.run("return heard[0]") == message
    talking.run("heard.length = 0; socket.send(new Uint8Array(700000).map((_, at) => at * at))")
    talking.until("return heard.length === 1")
    assert talking.run("return new Uint8Array(heard[0]).every((byte, at) => byte === at * at % 256)")


def test_many_messages_in_order(talking):
    talking.run("for (let at = 0; at < 2000; at++) socket.send(at)")
    talking.until("return heard.length === 2000")
    assert talking.run("return heard.every((text, at) => text === String(at))")


def test_several_websockets_beside_fetches(page, house):
    before = len(house.lines("/(bytes|socket)", least=0))
    script = """const talk = number => new Promise((done, fail) => {
                    const socket = new WebSocket(arguments[0]);
                    socket.onopen = () => socket.send('hello ' + number);
                    socket.onmessage = event => { socket.close(); done(event.data); };
                    socket.onerror = fail;
                });
                const all = [...Array(20).keys()];
                const sums = all.map(async () => (await fetch('/bytes')).arrayBuffer());
                const words = await Promise.all(all.map(talk));
                await Promise.all(sums);
                return words;"""
    assert page.run(script, house.url("/socket").replace("https:", "wss:")) == [f"hello {n}" for n in range(20)]
    lines = house.lines("/(bytes|socket)", least=before + 40)[-40:]
    assert {line["client_port"] for line in lines} == {house.lines("/")[-1]["client_port"]}


def test_the_client_closes(talking, house):
    count = len(house.echo.codes)
    talking.run("socket.close(4001, 'no more')")
    assert talking.until("return ended") == [4001, "no more", True]
    eventually(lambda: len(house.echo.codes) > count, "the end at the origin")
    assert house.echo.codes[-1] == (4001, "no more")


def test_the_origin_closes(talking):
    talking.run("socket.send('close 4002 go away')")
    assert talking.until("return ended") == [4002, "go away", True]


def test_the_origin_dies(page, house):
    """Without a closing frame there is no code: the browser's is 1006."""
    page.run("window.ended = null; window.socket = new WebSocket(arguments[0]);"
             "socket.onclose = event => ended = [event.code, event.reason, event.wasClean]",
             house.url("/played/dying").replace("https:", "wss:"))
    connection = house.played.take()
    connection.accept_websocket()
    page.until("return socket.readyState === WebSocket.OPEN")
    connection.close()
    assert page.until("return ended") == [1006, "", False]
    page.run("await fetch('/after')")


def test_a_page_that_is_left_ends_its_websocket(talking, house):
    count = len(house.echo.codes)
    talking.open(house.url("/elsewhere"))
    eventually(lambda: len(house.echo.codes) > count, "the end at the origin")
    assert house.echo.codes[-1][0] in (1001, 1005, 1006)


def test_a_refused_websocket(page, house):
    assert open_socket(page, house, "/nothing")[0] == "error"
    assert page.until("return ended")[0] == 1006
    assert house.lines("/nothing")[-1]["status"] == "502"  # the origin answered as if it were any request


def test_a_websocket_by_http1(browser, house):
    browser.open(house.url(host="a.test"))
    assert open_socket(browser, house, host="a.test", protocols=["echo"])[0] == "open"
    browser.run("socket.send('by upgrade')")
    browser.until("return heard[0] === 'by upgrade'")
    browser.run("socket.close(1000)")
    browser.until("return ended")
    line = house.lines("/socket", host="a.test")[-1]
    assert (line["protocol"], line["status"], line["connection_requests"]) == ("HTTP/1.1", "101", "1")


# -- the connection's life ---------------------------------------------------------------------------------------------


def test_a_reload_is_not_noticed(talking, house):
    house.weir.reload()
    talking.run("socket.send('still here'); await fetch('/again')")
    talking.until("return heard.at(-1) === 'still here'")
    assert house.lines("/again")[-1]["client_port"] == house.lines("/")[-1]["client_port"]


def test_a_page_outlives_the_server(browser, weir, certificates):
    """GOAWAY: what the browser asks next goes over a new connection, to the next server."""
    port = free_port()
    text = f"https_port {port}; site a.test {{ tls_certificate {certificates['a']}; respond 200 %s; }}"
    one = weir(text % "first", modules=["tls"])
    browser.open(f"https://a.test:{port}/")
    assert set(browser.protocols()) == {"h2"}
    assert browser.run("return await (await fetch('/again')).text()") == "first"
    one.terminate()
    assert one.wait(PATIENCE * 2) == 0
    weir(text % "second", modules=["tls"])
    assert browser.run("return await (await fetch('/once more')).text()") == "second"
