# SPDX-License-Identifier: BSD-2-Clause
"""weir explain says what the live request then gets: site, route, status; and changes nothing by asking."""

import base64
import json
import random
import ssl
from urllib.parse import urlencode

import pytest

from lib.daemon import Weir, run_weir, serving
from lib.origin import AnsweringOrigin
from lib.patience import eventually

SEED = 20251
TEXT = r"""
trusted_proxies 127.0.0.1;
module access;
module headers;
module auth;
module ratelimit;
response_header set X-Chosen "$site|$route";
upstream u { server ORIGIN; balance least_conn; }

site a.test www.a.test {
    deny 10.1.0.0/16;
    allow 10.0.0.0/8;
    deny 172.16.0.0/12;
    route = /exact { respond 200 "exact"; }
    route ~ ^/re/[0-9]+$ { respond 201 "digits"; }
    route ~ \.php$ method=GET { respond 410; }
    route /api/ method=POST,PUT { respond 202 "write"; }
    route /api/ header=X-Kind:beta client=10.0.0.0/8 { respond 203 "beta inside"; }
    route /api/ { proxy u; }
    route /api/v2/ header=X-Kind { redirect 307 /kind; }
    route /moved/ { redirect 308 "https://b.test$uri"; }
    route /open/ { allow all; respond 200 "open"; }
    route /shadow/ { enforce off access; deny all; respond 206 "shadow"; }
    route /health { health; }
}
site *.b.test {
    rate_limit 100000r/s burst=100000;
    request_header set X-Seen yes;
    maintenance on bypass=10.2.0.0/16;
    route /api/ { proxy u; }
    route /off/ { maintenance off; respond 200 "off"; }
    route / { respond 200 "b"; }
}
site x.b.test { enforce off maintenance; maintenance on; respond 204; }
site any.test {
    satisfy any;
    allow 10.0.0.0/8;
    auth basic users;
    route /all/ { satisfy all; respond 200 "all"; }
    route / { respond 200 "any"; }
}
site none.test { route /there/ { respond 200 "there"; } }
"""
USERS = {"users": "ann:$apr1$weirweir$4p6NStbDGNzOM1JYTq1Xx0\n"}

HOSTS = ["a.test", "www.a.test", "q.b.test", "r.q.b.test", "x.b.test", "any.test", "none.test", "other.test", "A.Test."]
PATHS = ["/", "/exact", "/exact/", "/re/12", "/re/x", "/x.php", "/api/", "/api/x.php", "/api/v2/y", "/api//v2/y",
         "/moved/a?b=c", "/open/", "/shadow/", "/health", "/off/x", "/there/", "/all/", "/%61pi/z", "/a/../exact",
         "/api/%2e%2e/exact", "/%zz"]
METHODS = ["GET", "GET", "GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"]
CLIENTS = ["10.0.0.1", "10.1.2.3", "10.2.3.4", "172.16.9.9", "192.0.2.7", "2001:db8::1"]
HEADERS = [(), (), ("X-Kind: beta",), ("X-Kind: other",), ("x-kind:   beta",),
           ("Authorization: Basic " + base64.b64encode(b"ann:secret").decode(),), ("Authorization: Bearer x",),
           ("X-Kind: beta", "X-More: 1"), ("Max-Forwards: 0",)]


@pytest.fixture(scope="module")
def served():
    origin = AnsweringOrigin(lambda _: b"HTTP/1.1 200 OK\r\nX-Origin: yes\r\nContent-Length: 0\r\n\r\n")
    try:
        with serving(TEXT.replace("ORIGIN", f"127.0.0.1:{origin.port}"), USERS) as weir:
            yield weir
    finally:
        origin.stop()


def generated(count):
    rng = random.Random(SEED)
    for _ in range(count):
        yield (rng.choice(METHODS), rng.choice(HOSTS), rng.choice(PATHS),
               (f"X-Forwarded-For: {rng.choice(CLIENTS)}", *rng.choice(HEADERS)))


def words(weir, method, host, path, fields):
    return [method, f"http://{host}:{weir.http_port}{path}", "client=127.0.0.1",
            *[f"header={field}" for field in fields]]


def ask(weir, method, host, path, fields):
    """Over the control socket: (status, answer)."""
    pairs = [word.split("=", 1) for word in words(weir, method, host, path, fields)[2:]]
    query = [("method", method), ("url", f"http://{host}:{weir.http_port}{path}"), *pairs]
    return weir.ask("GET", "/v1/explain?" + urlencode(query).replace("+", "%20"))


def check(explained, response, what):
    """Where it does not say that it depends, it is what the client sees."""
    if explained["depends"]:
        return False
    if explained["outcome"] == "proxied":
        assert response.status == 200 and response.get("X-Origin") == "yes", (what, explained, response.status)
    else:
        assert explained["outcome"] == "answered", (what, explained)
        assert response.status == explained["status"], (what, explained, response.status)
        assert response.get("X-Origin") is None, (what, explained)
    chosen = f"{explained['site'] or ''}|{explained['route'] or ''}"
    assert response.get("X-Chosen") in (chosen, None if chosen == "|" else chosen), (what, explained)
    return True


def live(weir, method, host, path, fields):
    client = weir.connect()
    try:
        return client.request(method, path, *fields, "Connection: close", host=host).response(to=method)
    finally:
        client.close()
        weir.clients.remove(client)


def test_generated_requests_get_what_was_explained(served):
    definite, outcomes = 0, set()
    for request in generated(400):
        code, explained = ask(served, *request)
        assert code == 200, (request, explained)
        definite += check(explained, live(served, *request), request)
        outcomes.add((explained["outcome"], explained["status"]))
    assert definite > 300
    assert ("proxied", 0) in outcomes
    assert {202, 307, 400, 401, 403, 404, 503} <= {status for _, status in outcomes}


def test_the_file_alone_says_the_same_as_the_server(served):
    """Offline and live, text and JSON, through the command line."""
    for request in list(generated(400))[:12]:
        said = words(served, *request)
        offline = run_weir("explain", *said, "-c", served.config, "--json")
        online = run_weir("explain", *said, "-s", served.control, "--json")
        assert offline.returncode == online.returncode == 0, offline.stderr + online.stderr
        assert json.loads(offline.stdout) == json.loads(online.stdout)


def test_each_step_names_its_line(served):
    lines = served.config.read_text().split("\n")

    def line_of(text):
        return f"{served.config}:{[text in line for line in lines].index(True) + 1}"

    done = run_weir("explain", "GET", f"http://a.test:{served.http_port}/api/v2/x", "client=10.0.0.9", "-s",
                    served.control)
    said = done.stdout.split("\n")
    assert done.returncode == 0 and not done.stderr
    assert said[0].startswith("listener") and f"0.0.0.0:{served.http_port}" in said[0]
    assert said[1].split() == ["site", "-", "chosen", "a.test:", "exact", "name", line_of("site a.test")]
    assert "passed over" in said[2] and "its header= does not hold" in said[2]
    assert said[2].endswith(line_of("route /api/v2/"))
    assert "its method= does not hold" in said[3] and "its header= does not hold" in said[4]
    assert "longest prefix" in said[5] and said[5].endswith(line_of("route /api/ { proxy"))
    assert said[-3].startswith("upstream") and "least_conn" in said[-3] and "in service" in said[-3]
    assert said[-3].endswith(line_of("upstream u"))
    assert said[-2] == "outcome: proxied to u"


def test_a_refusal_that_is_not_enforced_says_so(served):
    _, explained = ask(served, "GET", "a.test", "/shadow/", ())
    access = [step for step in explained["steps"] if step["module"] == "access"]
    assert [step["verdict"] for step in access] == ["would refuse 403"]
    assert access[0]["reason"].startswith("denied by rule") and access[0]["reason"].endswith("not enforced")
    assert (explained["outcome"], explained["status"]) == ("answered", 206)


def test_a_password_depends(served):
    credentials = "Authorization: Basic " + base64.b64encode(b"ann:secret").decode()
    _, explained = ask(served, "GET", "any.test", "/all/", ("X-Forwarded-For: 10.0.0.1", credentials))
    assert explained["depends"]
    steps = [step["verdict"] for step in explained["steps"] if step["module"] == "auth"]
    assert steps == ["next", "depends"]  # the first takes fields away


def test_asking_counts_and_logs_nothing(served):
    def figures():
        status = served.status()
        return (status["requests"], status["connections"], status["sites"],
                [[server["requests"] for server in upstream["servers"]] for upstream in status["upstreams"]],
                [line for line in served.ask("GET", "/v1/metrics")[1].decode().split("\n")
                 if line.startswith(("weir_module_access", "weir_access", "weir_auth", "weir_ratelimit",
                                     "weir_would_refuse", "weir_module_would_refuse", "weir_requests"))])

    live(served, "GET", "a.test", "/shadow/", ())
    eventually(lambda: served.status()["connections"] == 0, "the live request is counted and its connection closed")
    before, log = figures(), served.log()
    for request in generated(60):
        ask(served, *request)
    ask(served, "GET", "a.test", "/shadow/", ())
    assert figures() == before
    assert served.log() == log


def test_a_limit_is_looked_at_and_not_spent(weir):
    one = weir('module ratelimit; site a.test { rate_limit 1r/h; respond 200 "x"; }')
    for _ in range(5):
        assert ask(one, "GET", "a.test", "/", ())[1]["status"] == 200
    assert one.get("/").status == 200
    _, explained = ask(one, "GET", "a.test", "/", ())
    assert explained["status"] == 429
    assert one.get("/").status == 429


def test_tls_and_the_way_to_it(weir):
    one = weir('module tls; site a.test { tls_certificate internal; respond 200 "x"; }')
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    code, plain = ask(one, "GET", "a.test", "/p?q", ())
    assert (code, plain["outcome"], plain["status"]) == (200, "answered", 301)
    assert plain["steps"][-1]["reason"] == f"https://a.test:{one.https_port}/p?q"
    assert one.get("/p?q").status == 301

    def secure(host):
        return one.ask("GET", f"/v1/explain?method=GET&url=https://{host}:{one.https_port}/")[1]

    assert secure("a.test")["status"] == one.connect_tls(context).get("/").status == 200
    assert secure("b.test")["outcome"] == "unreachable"
    with pytest.raises(ssl.SSLError):
        one.connect_tls(context, name="b.test")


def test_nothing_listens_there(served):
    done = run_weir("explain", "GET", "http://a.test:1/", "-c", served.config)
    assert done.returncode == 0
    assert "nothing listens for http on port 1; what listens: 0.0.0.0:" in done.stdout
    assert done.stdout.endswith("outcome: unreachable: nothing listens there\n")


@pytest.mark.parametrize("said, cure", [
    (["GET", "a.test/"], "begins with http:// or https://"),
    (["GET", "ftp://a.test/"], "begins with http:// or https://"),
    (["GET", "http:///x"], "names no host"),
    (["GET", "http://a.test/#x"], "fragment"),
    (["G T", "http://a.test/"], "the method is no token"),
    (["GET", "http://a.test/", "client=a.test"], "client= wants an IPv4 or IPv6 address"),
    (["GET", "http://a.test/", "client=1.2.3.4", "client=1.2.3.4"], "client=ADDR, once"),
    (["GET", "http://a.test/", "clent=1.2.3.4"], "client=ADDR, once, and header=NAME:VALUE"),
    (["GET", "http://a.test/", "header=X"], "NAME:VALUE"),
    (["GET", "http://a.test/", "header=Host:b.test"], "the host is the URL's"),
    (["GET", "http://a.test/", "header=Content-Length:1"], "without content"),
    (["GET", "http://a.test/", "header=X:a\r\nHost: b"], "control characters"),
    (["GET"], "too few arguments"),
])
def test_mistakes_come_with_a_cure(folder, said, cure):
    path = folder / "weir.conf"
    path.write_text('site a.test { respond 200 "x"; }')
    done = run_weir("explain", *said, "-c", path)
    assert done.returncode == 2 and cure in done.stderr and not done.stdout


def test_mistakes_over_the_control_socket(served):
    for query in ("", "method=GET", "method=GET&url=x", "method=GET&url=http://a.test/&what=1",
                  "method=GET&url=http://a.test/%zz&url=", "&".join(["method=GET", "url=http://a.test/"] +
                                                                     ["header=A:b"] * 33)):
        code, answer = served.ask("GET", f"/v1/explain?{query}")
        assert code == 400 and answer["error"], query
    assert served.ask("POST", "/v1/explain?method=GET&url=http://a.test/")[0] == 405


def test_without_a_server_nothing_is_opened(folder):
    one = Weir('site a.test { respond 200 "x"; } upstream u { server 127.0.0.1:1; }')
    try:
        done = one.cli("explain", "GET", f"http://a.test:{one.http_port}/")
        assert done.returncode == 0 and "outcome: answered 200" in done.stdout
        assert not (one.folder / "error.log").exists() and not (one.folder / "control.sock").exists()
        broken = one.folder / "broken.conf"
        broken.write_text("site a.test { respnd 200; }")
        done = run_weir("explain", "GET", "http://a.test/", "-c", broken)
        assert done.returncode == 1 and 'did you mean "respond"' in done.stderr and not done.stdout
    finally:
        one.abandon()
