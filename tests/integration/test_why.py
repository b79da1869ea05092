# SPDX-License-Identifier: BSD-2-Clause
"""weir why tells of a request that is over what weir explain foretells: each step, with the line that decided it."""

import base64
import os
import pathlib
import re
import threading
from urllib.parse import quote

import pytest

from lib import http2
from lib.daemon import Load, run_weir, serving
from lib.http2_origin import AnsweringHttp2Origin
from lib.origin import AnsweringOrigin
from lib.patience import PATIENCE, eventually

FIXTURES = pathlib.Path(os.environ["WEIR_TOP"]) / "modules/geoip/fixtures"
USERS = {"users": "ann:$apr1$weirweir$4p6NStbDGNzOM1JYTq1Xx0\n", "page.html": "<p>not you",
         "key": "0123456789abcdef0123456789abcdef"}
ANN = "Authorization: Basic " + base64.b64encode(b"ann:secret").decode()
TEXT = r"""
why_ring 500;
trusted_proxies 127.0.0.1;
module access;
module headers;
module auth;
module ratelimit;
module geoip;
geoip_database GEO/country.mmdb GEO/asn.mmdb;
response_header set X-Id $request_id;
upstream pair {
    server 127.0.0.1:1;
    server ORIGIN;
    balance least_conn;
}
upstream dead { server 127.0.0.1:1; }
upstream moody { server ANGRY; server ORIGIN; retry attempts=2 on=503; }
site a.test {
    route /pair/ { proxy pair; }
    route /dead/ { proxy dead; }
    route /moody/ { proxy moody; }
    route /access/ {
        error_page 403 page.html;
        deny all;
        respond 200 in; }
    route /rate/ {
        rate_limit 1r/h key=$http_x_key;
        respond 200 in; }
    route /geo/ {
        geoip_deny DE;
        respond 200 in; }
    route /basic/ {
        auth basic users;
        respond 200 in; }
    route /jwt/ {
        auth jwt key=key;
        respond 200 in; }
    route /forward/ {
        auth forward http://GATE;
        respond 200 in; }
    route /shadow/ {
        enforce off access auth geoip;
        deny all;
        auth basic users;
        proxy pair; }
    route /any/ {
        satisfy any;
        allow 10.0.0.0/8;
        auth basic users;
        respond 200 in; }
    route /fragment/ { redirect 303 "https://b.test/in#token=$arg_token"; }
    route /moved/ { redirect 302 "https://b.test$path?token=$arg_token"; }
}
site *.b.test { respond 204; }
"""


def angry(_):
    return b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"


def gatekeeper(request):
    return (b"HTTP/1.1 401 No\r\nContent-Length: 3\r\n\r\nno\n" if "let=me" not in request.get("Cookie", "")
            else b"HTTP/1.1 204 Yes\r\n\r\n")


@pytest.fixture(scope="module")
def served():
    made = [AnsweringOrigin(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), AnsweringOrigin(angry),
            AnsweringOrigin(gatekeeper)]
    text = TEXT.replace("GEO", str(FIXTURES))
    for name, one in zip(("ORIGIN", "ANGRY", "GATE"), made):
        text = text.replace(name, f"127.0.0.1:{one.port}")
    try:
        with serving(text, USERS) as weir:
            weir.origin = made[0]
            yield weir
    finally:
        for one in made:
            one.stop()


def why(weir, id):
    """What it tells of a request; the answer may be here before the request is quite over."""
    def ask():
        code, told = weir.ask("GET", f"/v1/why?id={quote(id, safe='')}")
        return told if code == 200 else None

    return eventually(ask, f"request {id} in the ring")


def asked(weir, *request, **how):
    """(what the client saw, what weir why tells)"""
    response = weir.get(*request, **how)
    return response, why(weir, response.get("X-Id"))


def line_of(weir, text):
    lines = weir.config.read_text().split("\n")
    return [text in line for line in lines].index(True) + 1


def steps(told, *stages):
    return [step for step in told["steps"] if step["stage"] in stages]


def module_step(told, module):
    found = [step for step in told["steps"] if step["module"] == module]
    assert found, told
    return found[-1]


def test_each_step_has_its_line_and_each_server_its_time(served):
    def dead_one_first():
        """It is out for a while when it has failed often enough."""
        response, told = asked(served, "/pair/x?q=1")
        assert response.status == 200 and told["outcome"] == "proxied" and told["status"] == 200
        return told if len(told["servers"]) == 2 else None

    told = eventually(dead_one_first, "the dead one is tried first", PATIENCE * 2)
    assert (told["site"], told["route"], told["upstream"]) == ("a.test", "/pair/", "pair")
    listener, site, route, upstream = steps(told, "listener", "site", "route", "upstream")
    assert str(served.http_port) in listener["reason"]
    assert (site["reason"], site["line"]) == ("a.test: exact name", line_of(served, "site a.test"))
    assert (route["reason"], route["line"]) == ("/pair/: longest prefix", line_of(served, "route /pair/"))
    assert (upstream["reason"], upstream["line"]) == ("pair by least_conn", line_of(served, "upstream pair"))
    assert {step["file"] for step in (listener, site, route, upstream)} == {str(served.config)}
    dead, alive = told["servers"]
    assert dead["server"] == "127.0.0.1:1" and "refused" in dead["error"] and dead["status"] == 0
    assert alive["server"] == f"127.0.0.1:{served.origin.port}" and (alive["status"], alive["error"]) == (200, None)
    assert 0 < dead["begun_us"] <= alive["begun_us"] <= alive["sent_us"] <= alive["answered_us"] <= told["duration_us"]
    assert told["refused_by"] is None and told["bytes_sent"] > 0 and told["client"] == "127.0.0.1"


def test_a_status_that_is_tried_elsewhere(served):
    def angry_one_first():
        response, told = asked(served, "/moody/")
        assert response.status == 200
        return told if len(told["servers"]) == 2 else None

    told = eventually(angry_one_first, "the one that answers 503 is tried first", PATIENCE * 2)
    assert [one["status"] for one in told["servers"]] == [503, 200]
    assert told["servers"][0]["error"] == "status 503"


def test_no_server_left(served):
    for _ in range(2):
        response, told = asked(served, "/dead/")
        assert response.status in (502, 503) and told["outcome"] == "answered"
        assert told["refused_by"] == "upstream" and told["reason"]


GATE = "X-Forwarded-For: 192.0.2.1"  # a client in Germany


@pytest.mark.parametrize("target, fields, status, module, reason, line", [
    ("/access/", [], 403, "access", "denied by rule", "route /access/"),
    ("/geo/", [GATE], 403, "geoip", "country rule", "geoip_deny DE"),
    ("/basic/", [], 401, "auth", "password", "auth basic users;"),
    ("/basic/", [ANN.replace("c2", "d2")], 401, "auth", "password", "auth basic users;"),
    ("/jwt/", [], 401, "auth", "token", "auth jwt"),
    ("/forward/", [], 401, "auth", "", "auth forward"),
])
def test_who_refused_and_why(served, target, fields, status, module, reason, line):
    response, told = asked(served, target, *fields)
    assert response.status == told["status"] == status
    assert (told["outcome"], told["refused_by"]) == ("answered", module)
    step = module_step(told, module)
    assert step["verdict"] == f"refuses {status}" and reason in (step["reason"] or "")
    assert reason in (told["reason"] or "")
    first = line_of(served, line)
    assert (step["file"], first) == (str(served.config), step["line"] if target != "/access/" else step["line"] - 2)
    assert told["steps"][-1]["stage"] == ("page" if target == "/access/" else "AUTH" if module == "auth" else "GUARD")


def test_a_spent_limit_says_which(served):
    assert asked(served, "/rate/", "X-Key: one")[1]["outcome"] == "answered"
    response, told = asked(served, "/rate/", "X-Key: one")
    assert response.status == told["status"] == 429 and told["refused_by"] == "ratelimit"
    assert "over rate_limit of" in told["reason"]
    assert module_step(told, "ratelimit")["line"] == line_of(served, "rate_limit 1r/h")


def test_what_waited_says_how_long(served):
    response, told = asked(served, "/forward/", "Cookie: let=me")
    assert response.status == 200
    assert re.search(r"waited \d+\.\d{3} ms", module_step(told, "auth")["reason"])
    response, told = asked(served, "/basic/", ANN)
    assert module_step(told, "auth")["verdict"] in ("satisfied", "next", "refuses 401")


def test_shadow_refusals_are_told_and_let_through(served):
    response, told = asked(served, "/shadow/")
    assert response.status == 200 and told["refused_by"] is None
    assert module_step(told, "access")["verdict"] == "would refuse 403"
    assert module_step(told, "access")["reason"].endswith("not enforced")
    assert module_step(told, "auth")["verdict"] == "would refuse 401"
    assert told["would_refuse"].startswith("access: 403 denied by rule")
    assert "not enforced: access: 403" in served.cli("why", told["id"]).stdout


def test_satisfy_any(served):
    inside, told = asked(served, "/any/", "X-Forwarded-For: 10.0.0.1")
    assert inside.status == 200 and told["client"] == "10.0.0.1"
    assert module_step(told, "access")["verdict"] == "satisfied"
    outside, told = asked(served, "/any/", "X-Forwarded-For: 192.0.2.9")
    assert outside.status == 401 and told["refused_by"] == "auth"
    assert "satisfy any: others may let it in" in module_step(told, "auth")["reason"]


def test_the_error_page_has_its_line(served):
    response, told = asked(served, "/access/x")
    assert response.text == "<p>not you"
    page, = steps(told, "page")
    assert (page["reason"], page["line"]) == ("error_page", line_of(served, "error_page 403"))


def test_nothing_secret_is_kept(served):
    """Neither fields nor the values of a query, in what was asked and in where a redirect leads."""
    secrets = ["hunter2", "sesame", "c2VjcmV0", ANN.rpartition(" ")[2]]
    response, told = asked(served, "/moved/x?token=hunter2&sesame&empty=&a=b", ANN, "Cookie: session=sesame",
                           "X-Api-Key: hunter2")
    assert response.status == 302 and "hunter2" in response.get("Location")
    assert told["url"] == "http://a.test/moved/x?token=*&*&empty=&a=*"
    assert module_step(told, "redirect")["reason"] == "https://b.test/moved/x?token=*"
    fragment = asked(served, "/fragment/?token=hunter2")[1]
    assert module_step(fragment, "redirect")["reason"] == "https://b.test/in"
    texts = str(told) + str(fragment) + served.cli("why", told["id"]).stdout + served.cli("why").stdout
    assert [one for one in secrets if one in texts] == []


def test_requests_that_never_got_to_a_route(served):
    sent = {"broken": b"GET /%zz HTTP/1.1\r\nHost: a.test\r\n\r\n", "two hosts":
            b"GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", "unknown":
            b"GET / HTTP/1.1\r\nHost: nowhere.test\r\nX-Forwarded-For: 192.0.2.44\r\n\r\n"}
    for what, text in sent.items():
        client = served.connect()
        client.send(text)
        response = client.response()
        told = why(served, response.get("X-Id"))
        assert told["status"] == response.status and told["refused_by"] == "weir" and told["reason"], what
        stages = [step["stage"] for step in told["steps"]]
        assert "route" not in stages and (what == "unknown" or stages == ["listener", "parser"])


def test_a_head_that_takes_too_long(weir):
    one = weir('why_ring 9; timeout header=300ms; site a.test { respond 200 x; }')
    client = one.connect()
    client.send(b"GET / HTTP/1.1\r\nHos")
    assert client.response().status == 408
    told = eventually(lambda: one.ask("GET", "/v1/why")[1]["requests"], "the request in the ring")[0]
    assert (told["status"], told["refused_by"]) == (408, "weir") and "in time" in told["reason"]
    assert why(one, told["id"])["steps"][-1]["stage"] == "parser"


def test_a_client_that_leaves(weir, origin):
    one = weir(f"why_ring 9; site a.test {{ proxy {origin.url}; }}")
    client = one.connect()
    client.request("GET", "/slow")
    origin.take().request()
    client.reset()
    listed = eventually(lambda: one.ask("GET", "/v1/why")[1]["requests"], "the request in the ring")
    told = why(one, listed[0]["id"])
    assert (told["outcome"], told["status"], told["refused_by"]) == ("abandoned", 499, None)
    assert told["servers"][0]["status"] == 0 and told["servers"][0]["sent_us"] > 0


def test_http2_is_told_alike(served):
    client = http2.connect(served)
    for path, status in (("/pair/y?a=b", 200), ("/access/", 403), ("/shadow/", 200)):
        answer = client.get(path)
        told = why(served, answer["x-id"])
        over_h1 = asked(served, path)[1]
        assert answer.status == told["status"] == status and told["version"] == "HTTP/2"
        same = [[(step["stage"], step["module"], step["verdict"], step["line"]) for step in one["steps"]
                 if step["stage"] != "server"] for one in (told, over_h1)]
        assert same[0] == same[1]
    client.stream.close()


def test_servers_that_speak_http2(weir):
    origin = AnsweringHttp2Origin()
    try:
        one = weir(f"""why_ring 9; workers 1; module headers; response_header set X-Id $request_id;
            upstream u {{ server 127.0.0.1:1; server 127.0.0.1:{origin.port}; protocol h2; }}
            site a.test {{ proxy u; }}""")
        told = [asked(one, "/x")[1] for _ in range(2)]
    finally:
        origin.stop()
    first, second = (answer["servers"][-1] for answer in told)
    assert told[0]["servers"][0]["error"] and not first["kept_connection"] and second["kept_connection"]
    assert [server["status"] for server in (first, second)] == [200, 200]
    assert 0 < first["sent_us"] <= first["answered_us"] <= told[0]["duration_us"]


def test_what_was_explained_is_what_happened(served):
    """Step by step, up to the upstream, but for what depends."""
    for target in ("/access/", "/geo/", "/any/", "/moved/x", "/pair/", "/nothing/"):
        happened = asked(served, target, "X-Forwarded-For: 192.0.2.1")[1]
        code, foretold = served.ask("GET", "/v1/explain?method=GET&client=127.0.0.1&header=X-Forwarded-For:192.0.2.1"
                                    f"&url=http://a.test:{served.http_port}{target}")
        assert code == 200
        pairs = [[(step["stage"], step["module"], step["verdict"], step["file"], step["line"]) for step in one["steps"]
                  if step["stage"] not in ("server", "page")] for one in (foretold, happened)]
        assert pairs[0] == pairs[1], target
        assert (happened["outcome"], happened["site"], happened["route"], happened["upstream"]) == \
            (foretold["outcome"], foretold["site"], foretold["route"], foretold["upstream"])


def test_the_list_and_its_filter(served):
    targets = ["/access/", "/shadow/", "/moved/", "/moved/", "/moved/"]
    ids = [asked(served, target)[1]["id"] for target in targets]
    listed = [one["id"] for one in served.ask("GET", "/v1/why?limit=5")[1]["requests"]]
    assert len(listed) == 5 and set(ids) <= set(listed)
    refused = served.ask("GET", "/v1/why?refused&limit=1000")[1]["requests"]
    assert ids[:2] == [one for one in reversed([one["id"] for one in refused]) if one in ids]
    assert all(one["refused_by"] or one["would_refuse"] for one in refused)
    text = served.cli("why", "--refused").stdout.splitlines()
    line, = [line for line in text if ids[0] in line]
    assert re.search(r"\d 403 GET http://a\.test/access/  refused by access: denied by rule", line)
    assert len(served.cli("why").stdout.splitlines()) == min(20, served.ask("GET", "/v1/why")[1]["seen"])


def test_json_on_the_command_line_is_the_servers_answer(served):
    told = asked(served, "/moved/")[1]
    done = run_weir("why", told["id"], "--json", "-s", served.control)
    assert done.returncode == 0 and f'"id":"{told["id"]}"' in done.stdout and not done.stderr
    assert served.ask("GET", f"/v1/why/{told['id']}")[1] == told


def test_an_unknown_id_comes_with_a_cure(served):
    done = served.cli("why", "0123456789abcdef")
    assert done.returncode == 1 and not done.stdout
    assert "no request 0123456789abcdef among the last 500" in done.stderr and "why_ring" in done.stderr


HOSTILE = ["", " ", "..", "%00", "%", "a%2", "a b", "<script>", "a'b\"c", "a\r\nb", "\u00e9", "x" * 129, "a;b", "a\\b",
           "${request_id}", "*"]


@pytest.mark.parametrize("id", HOSTILE)
def test_ids_that_are_none(served, id):
    code, answer = served.ask("GET", f"/v1/why?id={quote(id, safe='')}")
    assert code == (404 if id == ".." else 400) and answer["error"]
    if id.isprintable() and id and "\u00e9" not in id:
        done = served.cli("why", id)
        assert done.returncode == 1 and not done.stdout and done.stderr.startswith("weir: ")


def test_mistakes_over_the_control_socket(served):
    for query in ("?id=%zz", "?limit=0", "?limit=1001", "?limit=x", "?what=1", "?id=a&id=b", "/%zz", "/a%00"):
        assert served.ask("GET", f"/v1/why{query}")[0] == 400, query
    assert served.ask("POST", "/v1/why")[0] == 405
    assert served.cli("why", "x", "--refused").returncode == 2


def test_ids_of_a_proxy_in_front(served):
    """Whatever identify lets pass as one can be asked for; of two alike the last one to end is told."""
    for id in ("../../etc/passwd", "a+b/c=d@e:f", ".", "id-1_2"):
        for target in ("/moved/first", "/moved/second"):
            assert served.get(target, f"X-Request-Id: {id}").get("X-Id") == id
            eventually(lambda: why(served, id)["url"] == f"http://a.test{target}", f"{target} is the last one")
        assert f"request: {id} " in served.cli("why", id).stdout


def test_off_unless_asked_for(weir):
    one = weir('site a.test { respond 200 x; }')
    assert one.get("/").status == 200
    done = one.cli("why")
    assert done.returncode == 1 and "why_ring 1000; at top level keeps the last 1000" in done.stderr
    assert one.ask("GET", "/v1/why/x")[0] == one.ask("GET", "/v1/why")[0] == 409


def test_the_ring_holds_the_last_ones(weir):
    text = 'why_ring {}; module headers; response_header set X-Id $request_id; site a.test {{ respond 200 x; }}'
    one = weir(text.format(4))
    ids = []

    def ask(count):
        for _ in range(count):
            ids.append(one.get("/").get("X-Id"))
            why(one, ids[-1])

    def listed():
        return [told["id"] for told in one.ask("GET", "/v1/why?limit=1000")[1]["requests"]][::-1]

    ask(3)
    assert listed() == ids
    ask(7)
    assert listed() == ids[-4:]
    assert "no request" in one.cli("why", ids[0]).stderr
    for size in (7, 3):
        one.reload(text.format(size))
        assert listed() == (ids[-4:] if size == 7 else ids[-3:])
        ask(size + 1)
        assert listed() == ids[-size:]
    one.reload(text.format(0))
    assert one.ask("GET", "/v1/why")[0] == 409
    one.get("/")
    one.reload(text.format(2))
    assert listed() == []
    ask(3)
    assert listed() == ids[-2:]


def test_a_reload_between_request_and_question(weir, answering):
    """Nothing of what is told is looked up in a configuration: files, lines and names are those of then."""
    origin = answering()
    one = weir(f"""why_ring 10; module access; module headers; response_header set X-Id $request_id;
        upstream then {{ server 127.0.0.1:{origin.port}; }}
        site a.test {{ route /old/ {{ proxy then; }} route /no/ {{ deny all; respond 200 x; }} }}""")
    old, refused = (one.get(target).get("X-Id") for target in ("/old/", "/no/"))
    before = why(one, old), why(one, refused)
    for i in range(5):
        one.reload(f"why_ring 10; site other{i}.test {{ respond 204; }}")
    eventually(lambda: one.status()["snapshots_alive"] == 1, "the former configurations are freed")
    assert (why(one, old), why(one, refused)) == before
    assert before[0]["upstream"] == "then" and before[1]["refused_by"] == "access"


def test_long_texts_are_cut_and_marked(weir):
    one = weir('why_ring 4; max_header_size 64k; module headers; response_header set X-Id $request_id; '
               'site a.test { respond 200 x; }')
    told = asked(one, "/" + "p" * 5000 + "?" + "&".join(f"key{i}=v" for i in range(2000)))[1]
    assert told["cut"] and told["url"].endswith("ppp...[cut]") and len(told["url"]) < 700
    assert "; texts or steps were cut" in one.cli("why", told["id"]).stdout
    many = asked(one, "/?" + "&".join(f"key{i}=v" for i in range(2000)))[1]
    assert many["cut"] and many["url"].startswith("http://a.test/?key0=*&key1=*") and many["url"].endswith("...[cut]")
    assert not asked(one, "/short")[1]["cut"]


def test_asking_while_requests_come(weir, answering):
    """Eight clients, three who ask; the ring is small, so that slots are written while they are read."""
    origin = answering(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    text = f"""why_ring SIZE; workers 4; module access; module headers; response_header set X-Id $request_id;
        site a.test {{ route /no/ {{ deny all; respond 200 x; }} route / {{ proxy {origin.url}; }} }}"""
    one = weir(text.replace("SIZE", "5"))
    over, told, wrong = threading.Event(), [], []

    def look():
        while not over.is_set():
            code, answer = one.ask("GET", "/v1/why?limit=5")
            if code != 200 or len(answer["requests"]) > 5:
                wrong.append(answer)
                continue
            for line in answer["requests"]:
                code, all_of_it = one.ask("GET", f"/v1/why/{line['id']}")
                told.append(code)
                if code == 200 and (all_of_it["id"] != line["id"] or not all_of_it["steps"] or
                                    (all_of_it["refused_by"] == "access") != ("/no/" in all_of_it["url"])):
                    wrong.append(all_of_it)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    with Load(lambda: one.get("/no/x?a=b" if threading.get_ident() % 2 else "/yes"), threads=8) as load:
        for looker in lookers:
            looker.start()
        for size in (50, 2, 500, 1, 0, 5):
            one.reload(text.replace("SIZE", str(size)))
            if size:
                count = len(told)
                eventually(lambda: len(told) > count + 20, "answers")
        over.set()
        for looker in lookers:
            looker.join()
    assert not load.failures and load.answers > 50
    assert [one for one in wrong if "error" not in one] == [] and 200 in told and set(told) <= {200, 404, 409}
