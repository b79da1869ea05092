# SPDX-License-Identifier: BSD-2-Clause
"""A small server to log in at, as a program of its own, in the manner of one of those that people run.

What it is asked by the proxy (the question) and what a browser sees of it (form, logout) follow the conventions of:
authelia      asked at /api/authz/forward-auth; pages on a host of its own, ?rd= is the way back; 401 for what is none
authentik     asked at /outpost.goauthentik.io/auth/traefik; pages below /outpost.goauthentik.io/ of the application's
oauth2-proxy  asked at /; its form comes at once, with 403, but 401 for JSON; pages below /oauth2/ of the application's
tinyauth      asked at /api/auth/traefik; pages on a host of its own, ?redirect_uri=; 307, and 401 for what is no page

A session lasts an hour of its clock, which POST /clock?later=SECONDS puts forward; each question prolongs it. GET
/asked is what it was asked so far, as JSON. One account: ann, "open sesame"."""

import html
import http.cookies
import http.server
import json
import secrets
import sys
import threading
import time
import urllib.parse

SESSION = 3600
USER, WORD = "ann", "open sesame"
FORM = """<!doctype html><meta charset=utf-8><title>log in</title><link rel=icon href=data:,>
<p id=said>{said}</p><form method=post action="{action}"><input type=hidden name=back value="{back}">
<input name=user><input name=word type=password><button>log in</button></form>"""

# name: (path of the question, of the form, of the logout, query's name for the way back, status of the redirect)
STYLES = {
    "authelia": ("/api/authz/forward-auth", "/", "/logout", "rd", 302),
    "authentik": ("/outpost.goauthentik.io/auth/traefik", "/outpost.goauthentik.io/start",
                  "/outpost.goauthentik.io/sign_out", "rd", 302),
    "oauth2-proxy": (None, "/oauth2/sign_in", "/oauth2/sign_out", "rd", 302),
    "tinyauth": ("/api/auth/traefik", "/login", "/logout", "redirect_uri", 307),
}
# name: fields of the answer to a question that is let in
IDENTITY = {
    "authelia": {"Remote-User": "ann", "Remote-Groups": "admins,users", "Remote-Email": "ann@b.test",
                 "Remote-Name": "Ann"},
    "authentik": {"X-authentik-username": "ann", "X-authentik-groups": "admins|users",
                  "X-authentik-email": "ann@b.test", "X-authentik-name": "Ann", "X-authentik-uid": "0815"},
    "oauth2-proxy": {"X-Auth-Request-User": "ann", "X-Auth-Request-Email": "ann@b.test",
                     "X-Auth-Request-Groups": "admins,users", "X-Auth-Request-Preferred-Username": "Ann"},
    "tinyauth": {"Remote-User": "ann", "Remote-Name": "Ann", "Remote-Email": "ann@b.test", "Remote-Groups": "admins"},
}


class Gate:
    """What all its connections know."""

    def __init__(self, style, pages):
        """pages: scheme and host of the pages, for those that have one of their own."""
        self.style, self.pages = style, pages
        self.lock = threading.Lock()
        self.later, self.sessions, self.asked = 0.0, {}, []

    def now(self):
        return time.monotonic() + self.later

    def open_session(self):
        with self.lock:
            name = secrets.token_hex(16)
            self.sessions[name] = self.now() + SESSION
            return name

    def is_open(self, name):
        with self.lock:
            if self.sessions.get(name, 0) < self.now():
                return False
            self.sessions[name] = self.now() + SESSION
            return True


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gate = None

    def log_message(self, *_):
        pass

    # -- small things ----------------------------------------------------------------------------------------------

    def reply(self, status, content="", fields=(), kind="text/html"):
        body = content.encode()
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def session(self):
        cookies = http.cookies.SimpleCookie(self.headers.get("Cookie", ""))
        return cookies["session"].value if "session" in cookies else ""

    def cookie(self, value, seconds=SESSION):
        own_host = self.gate.style in ("authentik", "oauth2-proxy")
        domain = "" if own_host else " Domain=b.test;"
        return ("Set-Cookie", f"session={value}; Path=/;{domain} Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax")

    def original(self):
        said = self.headers
        return f"{said['X-Forwarded-Proto']}://{said['X-Forwarded-Host']}{said['X-Forwarded-Uri']}"

    def query(self):
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, keep_blank_values=True))

    # -- the question ----------------------------------------------------------------------------------------------

    def is_question(self):
        path = STYLES[self.gate.style][0]
        if path is None:
            return "X-Forwarded-Uri" in self.headers and not self.path.startswith("/oauth2/")
        return urllib.parse.urlsplit(self.path).path == path

    def wants_page(self):
        accepts = self.headers.get("Accept", "")
        if self.gate.style == "oauth2-proxy":
            return "application/json" not in accepts
        return self.gate.style == "authentik" or "text/html" in accepts

    def answer_question(self):
        style = self.gate.style
        with self.gate.lock:
            self.gate.asked.append({"method": self.command, "target": self.path, "fields": self.headers.items()})
        if self.gate.is_open(self.session()):
            self.reply(202 if style == "oauth2-proxy" else 200,
                       fields=[*IDENTITY[style].items(), self.cookie(self.session())])
        elif not self.wants_page():
            self.reply(401, "not logged in", kind="text/plain")
        elif style == "oauth2-proxy":
            self.form(403, "/oauth2/sign_in", self.headers["X-Forwarded-Uri"])
        else:
            self.send_to_pages()

    def send_to_pages(self):
        _, path, _, name, status = STYLES[self.gate.style]
        if self.gate.style == "authelia" and self.headers["X-Forwarded-Method"] not in ("GET", "HEAD"):
            status = 303
        host = self.gate.pages
        if self.gate.style == "authentik":
            host = f"{self.headers['X-Forwarded-Proto']}://{self.headers['X-Forwarded-Host']}"
        query = urllib.parse.urlencode({name: self.original()})
        self.reply(status, fields=[("Location", f"{host}{path}?{query}")])

    # -- pages -----------------------------------------------------------------------------------------------------

    def form(self, status, action, back, said="who are you?"):
        self.reply(status, FORM.format(said=html.escape(said), action=html.escape(action), back=html.escape(back)))

    def do_GET(self):
        if self.is_question():
            self.answer_question()
            return
        path = urllib.parse.urlsplit(self.path).path
        if path == "/asked":
            self.reply(200, json.dumps(self.gate.asked), kind="application/json")
        elif path == STYLES[self.gate.style][2]:
            with self.gate.lock:
                self.gate.sessions.pop(self.session(), None)
            self.reply(200, "<p id=said>good bye</p>", fields=[self.cookie("", 0)])
        elif path == STYLES[self.gate.style][1]:
            self.form(200, path, self.query().get(STYLES[self.gate.style][3], "/"))
        else:
            self.reply(404, "no such page")

    def do_POST(self):
        path = urllib.parse.urlsplit(self.path).path
        content = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if path == "/clock":
            self.gate.later += float(self.query()["later"])
            self.reply(200)
            return
        said = dict(urllib.parse.parse_qsl(content))
        if secrets.compare_digest(said.get("word", ""), WORD) and said.get("user") == USER:
            self.reply(303, fields=[("Location", said["back"]), self.cookie(self.gate.open_session())])
        else:
            self.form(401, path, said["back"], "that is not right")


def main(port, style, pages):
    Handler.gate = Gate(style, pages)
    http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
