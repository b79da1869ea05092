# SPDX-License-Identifier: BSD-2-Clause
"""Chromium logs in through `auth forward`: forms, redirects and back, sessions and their end, what scripts get, in the
manner of each server that there is a preset for."""

import html
import http.client
import json
import re
import sys

import pytest

from lib import daemon, login
from lib.origin import AnsweringOrigin, request_of
from lib.patience import eventually
from lib.ports import free_port
from lib.program import Program
from lib.websocket import EchoServer

PAGE = "<!doctype html><meta charset=utf-8><title>app</title><link rel=icon href=data:,><pre id=head>%s</pre>"
APP = "app.b.test"
USER_FIELD = {"authelia": "Remote-User", "authentik": "X-authentik-username", "oauth2-proxy": "X-Auth-Request-User",
              "tinyauth": "Remote-User"}


def app(request):
    """The application: a page that shows what it was asked, or the same as plain text for scripts."""
    text = request.raw.decode()
    is_page = "text/html" in (request.get("Accept") or "")
    content = (PAGE % html.escape(text) if is_page else text).encode()
    return (f"HTTP/1.1 200 OK\r\nContent-Type: text/{'html' if is_page else 'plain'}; charset=utf-8\r\n"
            f"Cache-Control: no-store\r\nContent-Length: {len(content)}\r\n\r\n").encode() + content


class House:
    """An application and a server to log in at, both behind weir."""

    def __init__(self, folder, certificates, style):
        self.style = style
        self.https = free_port()
        self.has_own_host = style in ("authelia", "tinyauth")
        self.origin, self.echo = AnsweringOrigin(app), EchoServer()
        port = free_port()
        pages = f"https://auth.b.test:{self.https}"
        self.gate = Program([sys.executable, login.__file__, str(port), style, pages], port, folder)
        self.log = folder / "log"
        below = login.STYLES[style][1].rpartition("/")[0]
        self.pages = pages if self.has_own_host else self.url("")
        text = f"""
            https_port {self.https};
            access_log {self.log} "$host $protocol $method $uri $status user=$auth_user by=$error_module";
            site {APP} {{
                tls_certificate {certificates['b']};
                auth forward {self.gate.url} preset={style};
                proxy {self.origin.url};
                route /socket {{ proxy {self.echo.url}; }}
                route /open {{ auth off; proxy {self.origin.url}; }}
                route /dead {{ auth forward http://127.0.0.1:1; proxy {self.origin.url}; }}
                {'' if self.has_own_host else f'route {below}/ {{ auth off; proxy {self.gate.url}; }}'}
            }}
            {f'site auth.b.test {{ tls_certificate {certificates["b"]}; proxy {self.gate.url}; }}'
             if self.has_own_host else ''}
        """
        self.serving = daemon.serving(text, modules=["tls", "auth", "access-log"])

    def url(self, path, host=APP):
        return f"https://{host}:{self.https}{path}"

    def ask_gate(self, method, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.gate.port, timeout=10)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            assert answer.status == 200
            return answer.read()
        finally:
            connection.close()

    def asked(self):
        """The last question, its fields by lower-case name."""
        last = json.loads(self.ask_gate("GET", "/asked"))[-1]
        return dict(last, fields={name.lower(): value for name, value in last["fields"]})

    def logs(self, line):
        """Waits until the access log has such a line (an expression)."""
        def is_there():
            self.weir.cli("reload")  # writes what is buffered
            return re.search(f"^{APP} {line}$", self.log.read_text(), re.MULTILINE)
        eventually(is_there, f"{line} in the log")

    def __enter__(self):
        self.weir = self.serving.__enter__()
        return self

    def __exit__(self, *end):
        self.serving.__exit__(*end)
        self.gate.stop()
        self.echo.stop()
        self.origin.stop()


@pytest.fixture(scope="module", params=login.STYLES)
def house(request, session_folder, certificates, chromium):
    folder = session_folder / f"login-{request.param}"
    folder.mkdir()
    with House(folder, certificates, request.param) as one:
        yield one


def log_in(browser, word=login.WORD):
    assert browser.text("#said") in ("who are you?", "that is not right")
    browser.type("input[name=user]", login.USER)
    browser.type("input[name=word]", word)
    browser.click("button")


@pytest.fixture
def known(browser, house):
    """A page of the application, for one who has logged in."""
    browser.open(house.url("/start"))
    log_in(browser)
    assert browser.url == house.url("/start")
    return browser


def seen(browser):
    """The request that made the page, as the application got it."""
    return request_of(browser.text("#head").replace("\n", "\r\n").encode() + b"\r\n\r\n")


# -- logging in --------------------------------------------------------------------------------------------------------


def test_the_form_and_back_to_where_one_wanted_to_go(browser, house):
    wanted = house.url("/deep/page?x=1&y=a%20b&z=%C3%BC")
    browser.open(wanted)
    assert browser.url.startswith(house.pages)
    log_in(browser)
    assert browser.url == wanted
    request = seen(browser)
    assert request.target == "/deep/page?x=1&y=a%20b&z=%C3%BC"
    for name, value in login.IDENTITY[house.style].items():
        assert request.all(name) == [value]
    house.logs("HTTP/2.0 GET /deep/page.x=1&y=a%20b&z=%C3%BC 200 user=ann by=")
    browser.open(house.url("/another"))
    assert seen(browser).get(USER_FIELD[house.style]) == "ann"


def test_what_the_gate_was_told(known, house):
    known.open(house.url("/told?x=1"))
    question = house.asked()
    assert question["method"] == "GET" and question["target"] == (login.STYLES[house.style][0] or "/")
    fields = question["fields"]
    assert fields["x-forwarded-method"] == "GET" and fields["x-forwarded-proto"] == "https"
    assert fields["x-forwarded-host"] == f"{APP}:{house.https}" and fields["x-forwarded-uri"] == "/told?x=1"
    assert fields["x-forwarded-for"] == "127.0.0.1" and "session=" in fields["cookie"]


def test_a_wrong_password(browser, house):
    browser.open(house.url("/wanted"))
    for word in ("sesame", "Open Sesame", "open sesame "):
        log_in(browser, word)
        assert browser.text("#said") == "that is not right"
    log_in(browser)
    assert browser.url == house.url("/wanted")


def test_the_session_is_prolonged_by_what_one_does(known, house):
    """Cookies that come with the word to let in reach the browser: 4 times 40 minutes are more than an hour."""
    for number in range(4):
        house.ask_gate("POST", "/clock?later=2400")
        known.open(house.url(f"/again/{number}"))
        assert seen(known).target == f"/again/{number}"
    cookie = known.cookies()["session"]
    assert cookie["httpOnly"] and cookie["secure"] and cookie["domain"] == (".b.test" if house.has_own_host else APP)


def test_a_session_that_is_over(known, house):
    house.ask_gate("POST", "/clock?later=4000")
    known.open(house.url("/late"))
    log_in(known)
    assert known.url == house.url("/late") and seen(known).target == "/late"


def test_logging_out(known, house):
    known.open(house.pages + login.STYLES[house.style][2])
    assert known.text("#said") == "good bye" and "session" not in known.cookies()
    known.open(house.url("/start"))
    assert known.text("#said") == "who are you?"


def test_what_is_open_asks_nobody(browser, house):
    browser.open(house.url("/open"))
    assert not seen(browser).has(USER_FIELD[house.style])


def test_without_the_gate_nobody_comes_in(known, house):
    known.open(house.url("/dead"))
    assert "503" in known.text()
    house.logs("HTTP/2.0 GET /dead 503 user= by=auth")


# -- what scripts get --------------------------------------------------------------------------------------------------

FETCH = """const answer = await fetch(arguments[0], arguments[1] || {});
           return [answer.status, answer.type, answer.redirected, await answer.text()];"""
SOCKET = """const socket = new WebSocket(arguments[0]);
            return await new Promise(done => {
                socket.onopen = () => socket.send('hello');
                socket.onmessage = event => { socket.close(); done(event.data); };
                socket.onerror = () => done('refused');
            });"""


@pytest.fixture
def stranger(browser, house):
    """A page of the application that is open to all."""
    browser.open(house.url("/open"))
    return browser


def test_a_script_that_is_known(known, house):
    status, _, _, text = known.run(FETCH, "/data", {"method": "POST", "body": "x" * 50000})
    request = request_of(text.encode())
    assert status == 200 and request.get(USER_FIELD[house.style]) == "ann"
    assert request.method == "POST" and request.get("Content-Length") == "50000"
    fields = house.asked()["fields"]
    assert fields["x-forwarded-method"] == "POST" and "content-length" not in fields


def test_a_script_that_is_not(stranger, house):
    """The gate decides what it gets: a status that it can read, or a redirect that leads to a form."""
    if house.style == "authentik":
        assert stranger.run(FETCH, "/data", {"redirect": "manual"})[:2] == [0, "opaqueredirect"]
        status, _, redirected, text = stranger.run(FETCH, "/data")
        assert (status, redirected) == (200, True) and "who are you?" in text
    else:
        accept = {"headers": {"Accept": "application/json"}}
        assert stranger.run(FETCH, "/data", accept) == [401, "basic", False, "not logged in"]
    if house.style == "oauth2-proxy":
        status, _, _, text = stranger.run(FETCH, "/data")
        assert status == 403 and "who are you?" in text
    count = len(house.origin.requests)
    assert stranger.run(FETCH, "/data", {"method": "POST", "body": "x", "redirect": "manual"})[0] in (0, 401, 403)
    assert len(house.origin.requests) == count


def test_a_script_cannot_say_who_it_is(known, house):
    for name in {USER_FIELD[house.style], "Remote-User", "remote_user", "REMOTE-GROUPS"}:
        text = known.run(FETCH, "/data", {"headers": {name: "root"}})[3]
        assert "root" not in text
        assert request_of(text.encode()).all(USER_FIELD[house.style]) == ["ann"]


def test_a_script_of_a_stranger_cannot_either(stranger, house):
    text = stranger.run(FETCH, "/open", {"headers": {USER_FIELD[house.style]: "root"}})[3]
    assert not request_of(text.encode()).has(USER_FIELD[house.style]) and "root" not in text


def test_a_websocket_behind_the_gate(known, house):
    """Over HTTP/2 as well: whoever is let in reaches the origin with its identity, others get the gate's answer."""
    url = house.url("/socket").replace("https:", "wss:")
    assert known.run(SOCKET, url) == "hello"
    assert house.echo.handshakes[-1][USER_FIELD[house.style]] == "ann"
    house.logs("HTTP/2.0 GET /socket 200 user=ann by=")
    count = len(house.echo.handshakes)
    house.ask_gate("POST", "/clock?later=4000")
    assert known.run(SOCKET, url) == "refused"
    assert len(house.echo.handshakes) == count
    house.logs("HTTP/2.0 GET /socket (302|401|403) user= by=auth")


def test_a_long_websocket_outlives_its_session(known, house):
    """Who was let in stays: the question is asked when it begins."""
    known.run("window.heard = []; window.socket = new WebSocket(arguments[0]);"
              "socket.onmessage = event => heard.push(event.data);"
              "await new Promise(done => socket.onopen = done);", house.url("/socket").replace("https:", "wss:"))
    house.ask_gate("POST", "/clock?later=4000")
    known.run("socket.send('still there')")
    known.until("return heard[0] === 'still there'")
    known.run("socket.close()")
