# SPDX-License-Identifier: BSD-2-Clause
"""Which site and which route a request takes; where weir listens."""

import re
import socket
import stat

import pytest

from lib.client import Client
from lib.daemon import run_weir, serving
from lib.ports import free_port

CONFIG = r"""
trusted_proxies 127.0.0.1;
site a.test www.a.test { respond 200 "a"; }
site *.b.test { respond 200 "*.b"; }
site *.c.b.test { respond 200 "*.c.b"; }
site x.c.b.test { respond 200 "x.c.b"; }
site routes.test {
    route = /exact { respond 200 "= /exact"; }
    route ~ ^/re/[0-9]+$ { respond 200 "~ digits"; }
    route ~ ^/re/ { respond 200 "~ any"; }
    route ~ \.php$ { respond 200 "~ php"; }
    route /re/12/ { respond 200 "/re/12/"; }
    route / { respond 200 "/"; }
    route /api/ { respond 200 "/api/"; }
    route /api/v2/ { respond 200 "/api/v2/"; }
    route /api { respond 200 "/api"; }
    route /exact { respond 200 "/exact"; }
    route /a%20b/ { respond 200 "/a b/"; }
}
site conditions.test {
    route /m/ method=GET,HEAD { respond 200 "read"; }
    route /m/ method=POST { respond 200 "write"; }
    route /m/ { respond 200 "other"; }
    route /h/ header=X-Kind:beta { respond 200 "beta"; }
    route /h/ header=X-Kind { respond 200 "some kind"; }
    route /h/ { respond 200 "no kind"; }
    route /c/ client=10.0.0.0/8,2001:db8::/32 { respond 200 "inside"; }
    route /c/ { respond 200 "outside"; }
    route = /both method=PUT header=X-Kind:beta { respond 200 "both"; }
    route /only/ method=GET { respond 200 "only"; }
}
site partly.test { route /there/ { respond 200 "there"; } }
"""


@pytest.fixture(scope="module")
def routed():
    with serving(CONFIG) as weir:
        yield weir


@pytest.fixture(scope="module")
def asked(routed):
    client = routed.connect()

    def ask(host, target, *fields, method="GET"):
        return client.request(method, target, *fields, host=host).response(to=method)

    return ask


@pytest.mark.parametrize("host, answer", [
    ("a.test", "a"), ("A.TEST", "a"), ("a.test:8080", "a"), ("a.test.", "a"), ("www.a.test", "a"),
    ("one.b.test", "*.b"), ("two.one.b.test", "*.b"), ("y.c.b.test", "*.c.b"), ("x.c.b.test", "x.c.b"),
])
def test_sites_by_name(asked, host, answer):
    """Exact beats the longest wildcard; case, port and a final dot do not count (RFC 9110 4.2.3)."""
    assert asked(host, "/").text == answer


@pytest.mark.parametrize("host", ["b.test", "other.test", "xa.test", "a.test.evil", "127.0.0.1", "[::1]"])
def test_unknown_names_are_404_from_weir(asked, host):
    """Nobody's site is anyone else's default."""
    assert asked(host, "/").status == 404


def test_the_site_for_any_other_name(weir):
    one = weir("site a.test { respond 200 a; } site *.b.test { respond 200 b; } site _ { respond 200 rest; }")
    for host, answer in (("a.test", "a"), ("x.b.test", "b"), ("b.test", "rest"), ("1.2.3.4", "rest")):
        assert one.get(host=host).text == answer
    client = one.connect()
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert client.response().text == "rest"


@pytest.mark.parametrize("target, answer", [
    ("/exact", "= /exact"), ("/exact?q", "= /exact"), ("/exact/", "/exact"), ("/exactly", "/exact"),
    ("/re/12", "~ digits"), ("/re/12/", "~ any"), ("/re/x", "~ any"), ("/x.php", "~ php"), ("/re/x.php", "~ any"),
    ("/api/x", "/api/"), ("/api/v2/x", "/api/v2/"), ("/api/v2", "/api/"), ("/api", "/api"), ("/apix", "/api"),
    ("/", "/"), ("/other", "/"), ("/x/../api/y", "/api/"), ("/%61pi/y", "/api/"), ("//api//v2//y", "/api/v2/"),
    ("/a%20b/c", "/a b/"), ("/API/x", "/"), ("/x.php?y", "~ php"), ("/x?y.php", "/"),
])
def test_routes_by_path(asked, target, answer):
    """Exact, then patterns in written order, then the longest prefix; on the path in normal form."""
    assert asked("routes.test", target).text == answer


@pytest.mark.parametrize("method, target, fields, answer", [
    ("GET", "/m/", [], "read"), ("HEAD", "/m/", [], ""), ("POST", "/m/", [], "write"), ("DELETE", "/m/", [], "other"),
    ("GET", "/h/", ["X-Kind: beta"], "beta"), ("GET", "/h/", ["x-kind: beta"], "beta"),
    ("GET", "/h/", ["X-Kind: gamma"], "some kind"), ("GET", "/h/", [], "no kind"),
    ("GET", "/c/", [], "outside"), ("GET", "/c/", ["X-Forwarded-For: 10.9.9.9"], "inside"),
    ("GET", "/c/", ["X-Forwarded-For: 2001:db8::7"], "inside"),
    ("GET", "/c/", ["X-Forwarded-For: 11.0.0.1"], "outside"),
    ("PUT", "/both", ["X-Kind: beta"], "both"),
])
def test_conditions_of_routes(asked, method, target, fields, answer):
    response = asked("conditions.test", target, *fields, method=method)
    assert (response.status, response.text) == (200, answer)


@pytest.mark.parametrize("host, method, target", [
    ("conditions.test", "PUT", "/both"), ("conditions.test", "POST", "/only/"), ("conditions.test", "GET", "/none"),
    ("partly.test", "GET", "/"), ("partly.test", "GET", "/there"),
])
def test_no_route_is_404(asked, host, method, target):
    assert asked(host, target, method=method).status == 404


# -- listen ------------------------------------------------------------------------------------------------------------


def test_listen_addresses(weir, folder):
    four, six, both, second = (free_port() for _ in range(4))
    path = f"{folder}/weir.sock"
    one = weir(f"""
        site v4.test {{ listen 127.0.0.1:{four}; respond 200 "$site $server_port"; }}
        site v6.test {{ listen [::1]:{six}; respond 200 "$site $client_addr"; }}
        site both.test {{ listen {both}; listen {second}; respond 200 "$site $client_addr $server_port"; }}
        site unix.test {{ listen unix:{path}; respond 200 "$site"; }}
        site plain.test {{ respond 200 "$site"; }}
    """)

    def get(address, host):
        client = Client(address)
        try:
            return client.get(host=host)
        finally:
            client.close()

    assert get(("127.0.0.1", four), "v4.test").text == f"v4.test {four}"
    assert get(("::1", six), "v6.test").text == "v6.test ::1"
    assert get(("127.0.0.1", both), "both.test").text == f"both.test 127.0.0.1 {both}"
    assert get(("::1", both), "both.test").text == f"both.test ::1 {both}"
    assert get(("127.0.0.1", second), "both.test").text == f"both.test 127.0.0.1 {second}"
    assert get(path, "unix.test").text == "unix.test"
    assert get(("127.0.0.1", one.http_port), "plain.test").text == "plain.test"
    for port, host in ((four, "plain.test"), (one.http_port, "v4.test"), (both, "v4.test")):
        assert get(("127.0.0.1", port), host).status == 404
    for address in (("::1", four), ("127.0.0.1", six)):
        with pytest.raises(ConnectionRefusedError):
            Client(address)
    assert stat.S_ISSOCK((folder / "weir.sock").stat().st_mode)


def test_one_name_on_two_addresses(weir):
    """The same name may stand in several sites when their addresses differ."""
    first, second = free_port(), free_port()
    one = weir(f"site a.test {{ listen 127.0.0.1:{first}; respond 200 one; }}\n"
               f"site a.test {{ listen 127.0.0.1:{second}; respond 200 two; }}")
    assert one.get(port=first).text == "one" and one.get(port=second).text == "two"


def test_one_name_twice_on_one_address_is_an_error(folder):
    port = free_port()
    (folder / "weir.conf").write_text(f"site a.test {{ listen {port}; respond 200 a; }}\n"
                                      f"site a.test {{ listen {port}; respond 200 b; }}\n")
    done = run_weir("check", "-c", folder / "weir.conf")
    assert done.returncode == 1 and re.search(r"weir\.conf:[12]:\d+: error: .*a\.test", done.stderr + done.stdout)


def test_an_address_in_use_stops_the_start(folder):
    """With a sentence that names the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (folder / "weir.conf").write_text(f"control off; error_log stderr; state_dir {folder};\n"
                                          f"site a.test {{ listen 127.0.0.1:{port}; respond 200 a; }}\n")
        done = run_weir("run", "-c", folder / "weir.conf")
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr and "in use" in done.stderr


def test_https_redirect(weir, certificates):
    """A site with a certificate and without `listen` sends plain requests to https."""
    one = weir(f"""
        tls_certificate {certificates['a']};
        site a.test {{ respond 200 secret; }}
        site open.test {{ https_redirect off; respond 200 "$scheme"; }}
    """, modules=["tls"])
    response = one.get("/path?query", host="a.test")
    assert response.status in (301, 308)
    assert response.get("Location") == f"https://a.test:{one.https_port}/path?query"
    assert one.get(host="open.test").text == "http"
    client = one.connect_tls(certificates.client())
    assert client.get().text == "secret"


def test_sites_with_listen_are_never_redirected(weir, certificates):
    plain, secure = free_port(), free_port()
    one = weir(f"""
        site a.test {{ listen 127.0.0.1:{plain}; listen 127.0.0.1:{secure} tls; tls_certificate {certificates['a']};
                       respond 200 "$scheme"; }}
    """, modules=["tls"])
    assert one.get(port=plain).text == "http"
    assert one.connect_tls(certificates.client(), port=secure).get().text == "https"
