# SPDX-License-Identifier: BSD-2-Clause
"""The tls module between real TLS clients (Python's ssl, openssl s_client, curl) and real TLS origins."""

import re
import socket
import ssl

import pytest

from lib.daemon import MODULES, run_weir, serving
from lib.message import Closed
from lib.origin import AnsweringOrigin, Origin
from lib.patience import eventually
from lib.program import curl, openssl

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
SHOW = ('"$site|$tls_protocol|$tls_cipher|$tls_server_name|$tls_client_verify|$tls_client_subject|'
        '$tls_client_issuer|$tls_client_serial|$tls_client_fingerprint|$tls_resumed"')
NAMES = ["site", "protocol", "cipher", "name", "verify", "subject", "issuer", "serial", "fingerprint", "resumed"]


@pytest.fixture(scope="module")
def secure(certificates):
    text = f"""
        site a.test {{ tls_certificate {certificates['a']}; tls_certificate {certificates['a-rsa']};
                       respond 200 {SHOW}; }}
        site b.test *.b.test {{ tls_certificate {certificates['b']}; respond 200 {SHOW}; }}
        site new.b.test {{ tls_certificate {certificates['b']}; tls_protocols 1.3; respond 200 {SHOW}; }}
        site old.b.test {{ tls_certificate {certificates['b']}; tls_protocols 1.2;
                           tls_ciphers ECDHE-ECDSA-AES256-GCM-SHA384; respond 200 {SHOW}; }}
        site private.b.test {{ tls_certificate {certificates['b']}; tls_client_ca {certificates.path('ca.crt')};
                               tls_verify_client on; respond 200 {SHOW}; }}
        site optional.b.test {{ tls_certificate {certificates['b']}; tls_client_ca {certificates.path('ca.crt')};
                                tls_verify_client optional; respond 200 {SHOW}; }}
        site local.test {{ tls_certificate internal; respond 200 {SHOW}; }}
        site ticketless.b.test {{ tls_certificate {certificates['b']}; tls_tickets off; respond 200 {SHOW}; }}
    """
    with serving(text, modules=["tls"]) as weir:
        yield weir


def told(response):
    assert response.status == 200, response.text
    return dict(zip(NAMES, response.text.split("|")))


def ask(weir, context, name="a.test"):
    client = weir.connect_tls(context, name)
    try:
        return told(client.get(host=name))
    finally:
        client.close()


# -- names and certificates --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, site", [("a.test", "a.test"), ("A.TEST", "a.test"), ("b.test", "b.test"),
                                        ("x.b.test", "b.test"), ("y.b.test", "b.test")])
def test_the_certificate_is_that_of_the_name(secure, certificates, name, site):
    """RFC 6066 3. The client verifies chain and name."""
    seen = ask(secure, certificates.client(), name)
    assert seen["site"] == site and seen["name"] == name.lower()


@pytest.mark.parametrize("name", ["unknown.test", "xa.test", "x.a.test"])
def test_an_unknown_name_is_refused(secure, certificates, name):
    """RFC 6066 3: unrecognized_name; nobody's certificate is shown."""
    context = certificates.client()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
        secure.connect_tls(context, name)


def test_several_sites_and_no_name_is_refused(secure, certificates):
    context = certificates.client()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        secure.connect_tls(context, None)


def test_no_name_gets_the_only_site_of_its_address(weir, certificates):
    one = weir(f"site a.test {{ tls_certificate {certificates['a']}; respond 200 {SHOW}; }}", modules=["tls"])
    context = certificates.client()
    context.check_hostname = False
    client = one.connect_tls(context, None)
    assert told(client.get(host="a.test"))["name"] == ""


def test_the_site_for_any_other_name(weir, certificates):
    one = weir(f"""site a.test {{ tls_certificate {certificates['a']}; respond 200 {SHOW}; }}
                   site _ {{ tls_certificate {certificates['b']}; respond 200 {SHOW}; }}""", modules=["tls"])
    for name in ("b.test", "one.b.test"):
        assert ask(one, certificates.client(), name)["site"] == "_"
    assert ask(one, certificates.client(), "a.test")["site"] == "a.test"


@pytest.mark.parametrize("algorithms, key", [("ECDSA+SHA256", "ecdsa"), ("rsa_pss_rsae_sha256:RSA+SHA256", "rsa")])
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_each_client_gets_the_key_it_can_use(secure, certificates, algorithms, key, version):
    done = openssl("s_client", "-connect", f"127.0.0.1:{secure.https_port}", "-servername", "a.test", "-CAfile",
                   certificates.path("ca.crt"), "-verify_return_error", version, "-sigalgs", algorithms,
                   stdin=b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
    said = done.stdout.decode()
    assert "Verify return code: 0 (ok)" in said, said + done.stderr.decode()
    assert re.search(r"Peer signature type: (\S+)", said)[1].lower().startswith(key)


@pytest.mark.parametrize("version, name", [(TLS12, "TLSv1.2"), (TLS13, "TLSv1.3")])
def test_both_versions(secure, certificates, version, name):
    client = secure.connect_tls(certificates.client(versions=(version, version)))
    seen = told(client.get())
    assert seen["protocol"] == client.sock.version() == name
    assert seen["cipher"] == client.sock.cipher()[0]


def test_older_versions_are_refused(secure, certificates):
    """RFC 8996."""
    done = openssl("s_client", "-connect", f"127.0.0.1:{secure.https_port}", "-servername", "a.test", "-tls1_1",
                   "-cipher", "DEFAULT@SECLEVEL=0")
    assert done.returncode != 0 and b"no peer certificate available" in done.stdout


@pytest.mark.parametrize("name, version, works", [
    ("new.b.test", TLS12, False), ("new.b.test", TLS13, True), ("old.b.test", TLS12, True),
    ("old.b.test", TLS13, False)])
def test_versions_of_a_site(secure, certificates, name, version, works):
    context = certificates.client(versions=(version, version))
    if works:
        seen = ask(secure, context, name)
        assert name != "old.b.test" or seen["cipher"] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    else:
        with pytest.raises(ssl.SSLError):
            secure.connect_tls(context, name)


def test_alpn(secure, certificates):
    """RFC 7301: h2 comes before http/1.1; a client that offers only other protocols is refused."""
    client = secure.connect_tls(certificates.client(alpn=["http/1.1", "h2"]))
    assert client.sock.selected_alpn_protocol() == "h2"
    client = secure.connect_tls(certificates.client(alpn=["xy", "http/1.1"]))
    assert client.sock.selected_alpn_protocol() == "http/1.1"
    assert client.get().status == 200
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        secure.connect_tls(certificates.client(alpn=["xy"]))


# -- sessions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_sessions_are_resumed(secure, certificates, folder, version):
    """RFC 8446 2.2, RFC 5077: by openssl, which keeps the session in a file."""
    def connect(*args):
        done = openssl("s_client", "-connect", f"127.0.0.1:{secure.https_port}", "-servername", "a.test", version,
                       "-CAfile", certificates.path("ca.crt"), "-ign_eof", *args,
                       stdin=b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
        return done.stdout.decode(errors="replace")

    first = connect("-sess_out", folder / "session")
    assert "\nNew, TLSv1" in first and first.rstrip().count("|0") >= 1
    second = connect("-sess_in", folder / "session")
    assert "\nReused, TLSv1" in second and "|1" in second


def test_sessions_survive_a_reload(weir, certificates):
    text = f"site a.test {{ tls_certificate {certificates['a']}; respond 200 {SHOW}; }}"
    one = weir(text, modules=["tls"])
    context = certificates.client(versions=(TLS13, TLS13))
    client = one.connect_tls(context)
    assert told(client.get())["resumed"] == "0"
    session = client.sock.session
    one.reload(text)
    assert resumed(one, context, session)


def resumed(weir, context, session, name="a.test"):
    sock = context.wrap_socket(socket.create_connection(("127.0.0.1", weir.https_port), timeout=15),
                               server_hostname=name, session=session)
    try:
        return sock.session_reused
    finally:
        sock.close()


def test_no_tickets_where_they_are_off(secure, certificates):
    context = certificates.client(versions=(TLS13, TLS13))
    client = secure.connect_tls(context, "ticketless.b.test")
    client.get(host="ticketless.b.test")
    assert not client.sock.session or not client.sock.session.has_ticket


# -- client certificates -----------------------------------------------------------------------------------------------


def test_a_verified_client(secure, certificates):
    """What weir knows of the certificate, for headers and logs (names as in RFC 2253)."""
    seen = ask(secure, certificates.client(certificate="alice"), "private.b.test")
    about = ["x509", "-in", certificates.path("alice.crt"), "-noout"]
    serial = openssl(*about, "-serial").stdout.decode()
    fingerprint = openssl(*about, "-fingerprint", "-sha256").stdout.decode()
    assert seen["verify"] == "SUCCESS"
    assert seen["subject"] == "CN=alice,O=Weir tests" and seen["issuer"] == "CN=ca,O=Weir tests"
    assert seen["serial"].lower() == serial.strip().partition("=")[2].lower()
    assert seen["fingerprint"].lower() == fingerprint.strip().partition("=")[2].replace(":", "").lower()


@pytest.mark.parametrize("certificate", [None, "mallory"])
@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_clients_without_a_valid_certificate_are_refused(secure, certificates, certificate, version):
    """RFC 8446 4.4.2.4. In TLS 1.3 the client learns it on its first read."""
    context = certificates.client(certificate=certificate, versions=(version, version))
    with pytest.raises((ssl.SSLError, ConnectionError, Closed)):
        client = secure.connect_tls(context, "private.b.test")
        client.get(host="private.b.test")


@pytest.mark.parametrize("certificate, verify", [("alice", "SUCCESS"), (None, "NONE"), ("mallory", "FAILED")])
def test_optional_client_certificates(secure, certificates, certificate, verify):
    seen = ask(secure, certificates.client(certificate=certificate), "optional.b.test")
    assert seen["verify"].startswith(verify)
    assert (seen["subject"] != "") == (verify == "SUCCESS")


def test_the_subject_reaches_the_origin_and_no_client_forges_it(weir, certificates, answering):
    origin = answering()
    one = weir(f"""site a.test {{ tls_certificate {certificates['a']}; tls_client_ca {certificates.path('ca.crt')};
                   tls_verify_client optional; request_header set X-Client "$tls_client_subject";
                   proxy {origin.url}; }}""", modules=["tls", "headers"])
    one.connect_tls(certificates.client(certificate="alice")).get("/", "X-Client: CN=root")
    one.connect_tls(certificates.client()).get("/", "X-Client: CN=root")
    assert [request.get("X-Client") for request in origin.requests] == ["CN=alice,O=Weir tests", ""]


@pytest.mark.parametrize("host, status", [("private.b.test", 421), ("new.b.test", 421), ("old.b.test", 421),
                                          ("b.test", 200), ("nobody.test", 404)])
def test_a_request_for_a_stricter_site_is_misdirected(secure, certificates, host, status):
    """RFC 9110 15.5.20: what was shaken hands under for one site is not good for another."""
    client = secure.connect_tls(certificates.client(), "a.test")
    assert client.get(host=host).status == status


# -- the local CA ------------------------------------------------------------------------------------------------------


def test_the_local_ca(secure, certificates):
    """`tls_certificate internal`: made on the first start; whoever trusts ca.crt can verify."""
    authority = secure.folder / "state" / "tls" / "ca.crt"
    assert authority.exists()
    assert (secure.folder / "state" / "tls" / "ca.key").stat().st_mode & 0o077 == 0
    seen = ask(secure, certificates.client(trust=str(authority)), "local.test")
    assert seen["site"] == "local.test"
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(secure, certificates.client(), "local.test")
    done = curl("--cacert", authority, "--resolve", f"local.test:{secure.https_port}:127.0.0.1",
                f"https://local.test:{secure.https_port}/")
    assert done.stdout.startswith(b"local.test|")


def test_the_local_ca_is_kept(weir, certificates, folder):
    text = f"state_dir {folder}/state; site localhost {{ tls_certificate internal; respond 200 {SHOW}; }}"
    one = weir(text, modules=["tls"])
    authority = (folder / "state" / "tls" / "ca.crt").read_bytes()
    one.stop()
    two = weir(text, modules=["tls"])
    assert (folder / "state" / "tls" / "ca.crt").read_bytes() == authority
    context = certificates.client(trust=f"{folder}/state/tls/ca.crt")
    assert ask(two, context, "localhost")["site"] == "localhost"


# -- bytes -------------------------------------------------------------------------------------------------------------


def test_large_bodies_both_ways(weir, certificates, answering):
    origin = answering(lambda request: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
                       % (len(request.body), request.body))
    one = weir(f"site a.test {{ tls_certificate {certificates['a']}; proxy {origin.url}; }}", modules=["tls"])
    content = bytes(range(256)) * 16384
    for version in (TLS12, TLS13):
        client = one.connect_tls(certificates.client(versions=(version, version)))
        for _ in range(2):
            assert client.request("POST", body=content).response().body == content


def test_the_end_is_told(secure, certificates):
    """RFC 8446 6.1: close_notify behind the last answer, so that nobody can cut it short unseen."""
    client = secure.connect_tls(certificates.client())
    assert client.request("GET", "/", "Connection: close").response().status == 200
    assert client.is_closed()


def test_garbage_instead_of_a_handshake(secure):
    """Neither an answer in the clear nor any harm."""
    client = secure.connect(secure.https_port)
    client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert not client.to_end().startswith(b"HTTP/")
    assert secure.status()["workers"] == 2


# -- origins -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def tls_origins(certificates):
    origins = {name: AnsweringOrigin(tls=certificates.server(name)) for name in ("origin", "stranger")}
    yield origins
    for origin in origins.values():
        origin.stop()


def upstream(name, origin, *lines):
    return (f"upstream {name} {{ server 127.0.0.1:{origin.port}; tls on; {' '.join(lines)} }}"
            f" site {name} {{ proxy {name}; }}\n")


def test_origins_are_verified(weir, certificates, tls_origins):
    """Chain and name; a refusal is 502 and told in the log."""
    good, bad = tls_origins["origin"], tls_origins["stranger"]
    trust = f"tls_ca {certificates.path('ca.crt')};"
    one = weir(upstream("good.test", good, trust) + upstream("name.test", bad, trust) + upstream("ca.test", good)
               + upstream("other.test", good, f"tls_ca {certificates.path('other-ca.crt')};")
               + upstream("named.test", bad, trust, "tls_server_name stranger.test;")
               + upstream("off.test", bad, "tls_verify off;"), modules=["tls"])
    assert one.get(host="good.test").status == 200
    for host in ("name.test", "ca.test", "other.test"):
        assert one.get(host=host).status == 502, host
    assert one.get(host="named.test").status == 200
    assert one.get(host="off.test").status == 200
    eventually(lambda: "name does not match" in one.log() or "mismatch" in one.log(), "the reason in the log")
    assert len(good.requests) == 1


def test_proxy_to_an_https_url(weir, certificates, tls_origins):
    """`proxy https://` verifies against the system's CAs; here SSL_CERT_FILE names what the system trusts."""
    origin = tls_origins["origin"]
    text = (f"site a.test {{ proxy https://localhost:{origin.port}; }}"
            f" site b.test {{ proxy https://127.0.0.1:{origin.port}/x/; }}")
    one = weir(text, modules=["tls"], env={"SSL_CERT_FILE": certificates.path("ca.crt")})
    client = one.connect()
    assert [client.get(host=host).status for host in ("a.test", "b.test", "a.test")] == [200] * 3
    assert origin.accepted <= 4
    two = weir(text, modules=["tls"])
    assert two.get(host="a.test").status == 502


def test_connections_of_different_trust_are_not_shared(weir, certificates, tls_origins):
    """A pool belongs to the settings that its connections were verified under."""
    origin = tls_origins["origin"]
    one = weir("workers 1;" + upstream("off.test", origin, "tls_verify off;") + upstream("strict.test", origin),
               modules=["tls"])
    client = one.connect()
    assert client.get(host="off.test").status == 200
    assert client.get(host="strict.test").status == 502


def test_an_origin_that_speaks_no_tls_is_502(weir, origin):
    one = weir(upstream("plain.test", origin, "tls_verify off;"), modules=["tls"])
    client = one.connect().request(host="plain.test")
    origin.accept().send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    assert client.response().status == 502


def test_streaming_through_tls_on_both_sides(weir, certificates):
    origin = Origin(tls=certificates.server("origin"))
    one = weir(f"""upstream o {{ server 127.0.0.1:{origin.port}; tls on; tls_ca {certificates.path('ca.crt')}; }}
                   site a.test {{ tls_certificate {certificates['a']}; proxy o; }}""", modules=["tls"])
    client = one.connect_tls(certificates.client())
    client.request()
    connection = origin.take()
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    client.head()
    for byte in (b"h", b"e", b"l", b"l", b"o"):
        connection.send(byte)
        assert client.exactly(1) == byte
    origin.stop()


# -- configuration -----------------------------------------------------------------------------------------------------


def test_a_key_of_another_certificate_is_an_error(certificates, folder):
    (folder / "weir.conf").write_text(f"""modules_dir {MODULES}; state_dir .; module tls;
site a.test {{
    tls_certificate {certificates.path('a.crt')} {certificates.path('b.key')};
    respond 200 ok;
}}
""")
    done = run_weir("check", "-c", folder / "weir.conf")
    assert done.returncode == 1 and re.search(r"weir\.conf:3:\d+: error: ", done.stderr + done.stdout)


def test_new_certificates_come_with_a_reload(weir, certificates, folder):
    for suffix in ("crt", "key"):
        (folder / f"site.{suffix}").write_bytes(open(certificates.path(f"b.{suffix}"), "rb").read())
    text = f"site a.test b.test {{ tls_certificate {folder}/site.crt {folder}/site.key; respond 200 {SHOW}; }}"
    one = weir(text, modules=["tls"])
    assert ask(one, certificates.client(), "b.test")["site"]
    for suffix in ("crt", "key"):
        (folder / f"site.{suffix}").write_bytes(open(certificates.path(f"a.{suffix}"), "rb").read())
    one.reload(text)
    assert ask(one, certificates.client(), "a.test")["site"]
