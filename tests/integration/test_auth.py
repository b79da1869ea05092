# SPDX-License-Identifier: BSD-2-Clause
"""The module auth: passwords of every kind that htpasswd and mkpasswd write, tokens, client certificates, and another
server that decides."""

import base64
import hmac
import json
import re
import subprocess
import time

import pytest

from lib.daemon import serving
from lib.origin import AnsweringOrigin, request_of
from lib.patience import eventually


def made(*command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


HASHES = {
    "bcrypt": lambda word: made("htpasswd", "-niB", "-C", "4", "x", text=word).partition(":")[2],
    "apr1": lambda word: made("htpasswd", "-nim", "x", text=word).partition(":")[2],
    "sha256": lambda word: made("mkpasswd", "-s", "-m", "sha-256", text=word),
    "sha512": lambda word: made("mkpasswd", "-s", "-m", "sha-512", text=word),
    "yescrypt": lambda word: made("mkpasswd", "-s", "-m", "yescrypt", text=word),
}


def basic(name, word):
    return "Authorization: Basic " + base64.b64encode(f"{name}:{word}".encode()).decode()


@pytest.fixture(scope="module")
def users(session_folder):
    path = session_folder / "users.htpasswd"
    lines = [f"{name}:{hash_of('word of ' + name)}" for name, hash_of in HASHES.items()]
    path.write_text("# all kinds\n\n" + "\r\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def guarded(users):
    origin = AnsweringOrigin()
    text = f"""
        trusted_proxies 127.0.0.1;
        module headers;
        site a.test {{
            response_header set X-User "$auth_user";
            auth basic {users} realm='say "friend"';
            proxy {origin.url};
            route /open {{ auth off; proxy {origin.url}; }}
            route /any {{ satisfy any; allow 192.0.2.77; deny all; proxy {origin.url}; }}
            route /shadow {{ enforce off auth; proxy {origin.url}; }}
        }}
    """
    try:
        with serving(text, modules=["auth", "access"]) as weir:
            yield weir
    finally:
        origin.stop()


class Asking:
    """Each test is a client of its own: failures count by address."""

    count = 0

    def __init__(self, weir):
        Asking.count += 1
        self.weir, self.address = weir, f"198.51.100.{Asking.count}"

    def get(self, target="/", *fields):
        return self.weir.get(target, f"X-Forwarded-For: {self.address}", *fields)


@pytest.fixture
def asking(guarded):
    return Asking(guarded)


@pytest.mark.parametrize("kind", HASHES)
def test_each_kind_of_hash(asking, kind):
    response = asking.get("/", basic(kind, f"word of {kind}"))
    assert response.status == 200 and response.get("X-User") == kind
    assert asking.get("/", basic(kind, f"word of {kind}")).status == 200  # remembered
    assert asking.get("/", basic(kind, f"word of {kind}!")).status == 401


@pytest.mark.parametrize("field", [
    "X-Nothing: here", "Authorization: Basic", "Authorization: Basic ", "Authorization: Bearer abc",
    "Authorization: Basic !!!!", "Authorization: Basic YmNyeXB0", "Authorization: Basic YmNyeXB0OndvcmQ",
    "Authorization: Basic " + base64.b64encode(b":word").decode(),
    "Authorization: Basic " + base64.b64encode(b"bcrypt:word of bcrypt\0").decode(),
    "Authorization: Basic " + base64.b64encode(b"bcrypt:" + b"x" * 2000).decode()])
def test_what_is_no_password_is_challenged(asking, field):
    response = asking.get("/", field)
    assert response.status == 401
    assert response.get("WWW-Authenticate") == 'Basic realm="say \\"friend\\"", charset="UTF-8"'


def test_the_scheme_is_read_without_case(asking):
    assert asking.get("/", basic("apr1", "word of apr1").replace("Basic", "bASIC ")).status == 200


def test_unknown_names_cost_what_known_ones_cost(asking):
    """Both are verified: neither the answer nor a missing job tells them apart."""
    known, unknown = asking.get("/", basic("yescrypt", "wrong")), asking.get("/", basic("nobody", "wrong"))
    assert known.status == unknown.status == 401
    assert known.body.split(b"Request")[0] == unknown.body.split(b"Request")[0]


def test_identity_fields_of_clients_never_reach_the_origin(asking):
    forged = ["Remote-User: root", "REMOTE_USER: root", "remote-groups: admin", "Remote_Email: a@b", "Remote-Name: me"]
    request = request_of(asking.get("/", basic("sha256", "word of sha256"), *forged).body)
    assert request.all("Remote-User") == ["sha256"]
    assert not any("root" in value or "admin" in value for name in request.names() for value in request.all(name))


@pytest.mark.parametrize("target, address", [("/open", None), ("/any", "192.0.2.77")])
def test_identity_fields_never_pass_where_nobody_has_to_log_in(guarded, target, address):
    """What an origin takes for the word of whoever authenticates is nobody's here."""
    fields = [f"X-Forwarded-For: {address}"] if address else []
    response = guarded.get(target, *fields, "Remote-User: root", "remote_groups: admin")
    assert response.status == 200
    request = request_of(response.body)
    assert not any(name.lower().replace("_", "-").startswith("remote-") for name in request.names())


def test_fields_mean_what_origins_want_where_nothing_is_said_of_auth(weir, answering):
    house = weir(f"site _ {{ proxy {answering().url}; }}", modules=["auth"])
    assert request_of(house.get("/", "Remote-User: ann").body).get("Remote-User") == "ann"


def test_satisfy_any(guarded, asking):
    assert guarded.get("/any", "X-Forwarded-For: 192.0.2.77").status == 200
    assert asking.get("/any").status == 401
    assert asking.get("/any", basic("sha256", "word of sha256")).status == 200


def test_off_and_shadow(asking):
    assert asking.get("/open").status == 200
    response = asking.get("/shadow")
    assert response.status == 200 and not response.has("WWW-Authenticate")


def figure(weir, name):
    text = weir.ask("GET", "/v1/metrics")[1].decode()
    return sum(int(line.split()[-1]) for line in text.splitlines() if re.match(rf"{name}\b", line))


def test_guessing_is_slowed_down_for_the_guesser_alone(guarded, asking):
    before = figure(guarded, "weir_auth_delayed_total")
    for _ in range(4):
        assert asking.get("/", basic("bcrypt", "guess")).status == 401
    assert figure(guarded, "weir_auth_delayed_total") == before + 1  # three are free
    other = Asking(guarded)
    assert other.get("/", basic("bcrypt", "word of bcrypt")).status == 200


def test_a_replaced_file_holds_from_then_on(weir, folder):
    path = folder / "users"
    path.write_text("ann:" + HASHES["bcrypt"]("one") + "\n")
    one = weir(f"module auth; site a.test {{ auth basic {path}; respond 200 in; }}")
    assert one.get("/", basic("ann", "one")).status == 200
    following = folder / "next"
    following.write_text("ann:" + HASHES["bcrypt"]("two") + "\n")
    following.replace(path)
    eventually(lambda: "was replaced and read" in one.log(), "the file to be read")
    assert one.get("/", basic("ann", "two")).status == 200
    assert one.get("/", basic("ann", "one")).status == 401
    path.write_text("ann\n")
    eventually(lambda: "what was read before stays" in one.log(), "the broken file to be noticed")
    assert one.get("/", basic("ann", "two")).status == 200
    assert [note["warning"] for note in one.status()["notes"]] == [True]


@pytest.mark.parametrize("content, error", [
    ("", "no user in it"), ("ann\n", "line 1: a line is NAME:HASH"),
    ("# one\nann:secret\n", "line 2: its hash is of no kind")])
def test_mistakes_in_the_file(weir, folder, content, error):
    (folder / "users").write_text(content)
    one = weir("site a.test { respond 204; }")
    one.write(f"module auth; site a.test {{ auth basic {folder}/users; respond 200; }}")
    done = one.cli("check")
    assert done.returncode == 1 and error in done.stderr


@pytest.mark.parametrize("line, error", [
    ("auth basic;", "the file of names and hashes is missing"), ("auth forward;", "the server to ask is missing"),
    ("auth basic /nonexistent;", "cannot read /nonexistent"), ("auth magic;", "auth"),
    ("auth forward nobody;", 'nobody')])
def test_mistakes_in_the_configuration(weir, line, error):
    one = weir("site a.test { respond 204; }")
    one.write(f"module auth; site a.test {{ {line} respond 200; }}")
    done = one.cli("check")
    assert done.returncode == 1 and error in done.stderr


# -- another server decides --------------------------------------------------------------------------------------------

def gatekeeper(request):
    """Cookie session=NAME lets in; else a redirect to the login page, with a cookie of its own."""
    name = request.get("Cookie", "").partition("session=")[2]
    if name:
        return (f"HTTP/1.1 200 OK\r\nRemote-User: {name}\r\nRemote-Groups: a\r\nRemote-Groups: b\r\nX-Extra: e\r\n"
                "X-Secret: s\r\nSet-Cookie: seen=1\r\nContent-Length: 2\r\n\r\nok").encode()
    page = b"<a href=login>please log in</a>"
    return (b"HTTP/1.1 302 Found\r\nLocation: https://auth.test/?rd=x\r\nContent-Type: text/html\r\n"
            b"Set-Cookie: state=2; Path=/\r\nContent-Length: %d\r\n\r\n" % len(page)) + page


@pytest.fixture(scope="module")
def forwarding():
    origin, gate = AnsweringOrigin(), AnsweringOrigin(gatekeeper)
    text = f"""
        site a.test {{
            auth forward {gate.url} preset=authelia copy=X-Extra;
            proxy {origin.url};
            route /path {{ auth forward {gate.url}/own/path; proxy {origin.url}; }}
            route /dead {{ auth forward http://127.0.0.1:1; proxy {origin.url}; }}
        }}
    """
    try:
        with serving(text, modules=["auth"]) as weir:
            weir.gate = gate
            yield weir
    finally:
        origin.stop()
        gate.stop()


def test_who_is_let_in_reaches_the_origin_with_the_fields_asked_for(forwarding):
    response = forwarding.get("/page?x=1", "Cookie: session=ann", "Remote-User: root", "X_Extra: forged")
    assert response.status == 200 and response.get("Set-Cookie") == "seen=1"
    request = request_of(response.body)
    assert request.all("Remote-User") == ["ann"] and request.get("Remote-Groups") == "a, b"
    assert request.get("X-Extra") == "e" and not request.has("X-Secret") and not request.has("X_Extra")


def test_what_the_gatekeeper_is_asked(forwarding):
    forwarding.gate.forget()
    forwarding.get("/page?x=1", "Cookie: session=ann", "X-Forwarded-Uri: /forged", "Accept: text/html")
    request = forwarding.gate.requests[-1]
    assert (request.method, request.target) == ("GET", "/api/authz/forward-auth")
    assert request.get("X-Forwarded-Uri") == "/page?x=1" and request.get("X-Forwarded-Method") == "GET"
    assert request.get("X-Forwarded-Host").startswith("a.test") and request.get("X-Forwarded-Proto") == "http"
    assert request.get("X-Forwarded-For") == "127.0.0.1" and request.get("Accept") == "text/html"
    forwarding.get("/path", "Cookie: session=ann")
    assert forwarding.gate.requests[-1].target == "/own/path"


def test_any_other_answer_is_the_clients(forwarding):
    response = forwarding.get("/")
    assert response.status == 302 and response.get("Location") == "https://auth.test/?rd=x"
    assert response.get("Set-Cookie") == "state=2; Path=/" and response.get("Content-Type") == "text/html"
    assert response.body == b"<a href=login>please log in</a>"


def test_a_body_is_not_sent_along_but_reaches_the_origin(forwarding):
    forwarding.gate.forget()
    client = forwarding.connect()
    client.request("POST", "/upload", "Cookie: session=ann", body=b"x" * 50000)
    assert request_of(client.response().body).get("Content-Length") == "50000"
    asked = forwarding.gate.requests[-1]
    assert asked.method == "GET" and not asked.body and asked.get("X-Forwarded-Method") == "POST"


def test_without_an_answer_nobody_comes_in(forwarding):
    response = forwarding.get("/dead", "Cookie: session=ann")
    assert response.status == 503
    eventually(lambda: "auth: http://127.0.0.1:1: " in forwarding.log(), "the reason to be logged")


# -- tokens ------------------------------------------------------------------------------------------------------------

def plain(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def raw_ecdsa(der):
    """r and s, 32 bytes each, out of SEQUENCE { INTEGER, INTEGER }."""
    first = 4 + der[3]
    numbers = der[4:first], der[first + 2:first + 2 + der[first + 1]]
    return b"".join(number.lstrip(b"\0").rjust(32, b"\0") for number in numbers)


class Issuer:
    """An identity provider: a key of each type, and the JWK set that publishes them."""

    KINDS = {
        "RS256": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        "ES256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "EdDSA": ["ED25519"],
    }

    def __init__(self, folder):
        self.folder = folder
        self.secret = b"0123456789abcdef" * 2
        (folder / "HS256").write_bytes(self.secret)
        for name, how in self.KINDS.items():
            made("openssl", "genpkey", "-algorithm", *how, "-out", str(folder / f"{name}.key"))
            made("openssl", "pkey", "-in", str(folder / f"{name}.key"), "-pubout", "-out", str(folder / name))
        (folder / "jwks.json").write_text(json.dumps({"keys": [self.jwk(name) for name in ["HS256", *self.KINDS]]}))

    def der(self, name):
        lines = (self.folder / name).read_text().splitlines()
        return base64.b64decode("".join(lines[1:-1]))

    def jwk(self, name):
        if name == "HS256":
            return {"kty": "oct", "kid": name, "k": plain(self.secret)}
        if name == "EdDSA":
            return {"kty": "OKP", "crv": "Ed25519", "kid": name, "x": plain(self.der(name)[-32:])}
        if name == "ES256":
            point = self.der(name)[-64:]
            return {"kty": "EC", "crv": "P-256", "kid": name, "x": plain(point[:32]), "y": plain(point[32:])}
        modulus = made("openssl", "rsa", "-pubin", "-in", str(self.folder / name), "-noout", "-modulus")
        return {"kty": "RSA", "kid": name, "e": "AQAB", "use": "sig",
                "n": plain(bytes.fromhex(modulus.partition("=")[2]))}

    def sign(self, name, text):
        if name == "HS256":
            return hmac.new(self.secret, text, "sha256").digest()
        (self.folder / "text").write_bytes(text)
        key, path = str(self.folder / f"{name}.key"), str(self.folder / "text")
        command = ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", path]
        if name == "EdDSA":
            done = subprocess.run(command, capture_output=True, timeout=60)
        else:
            done = subprocess.run([*command, "-digest", "sha256"], capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return raw_ecdsa(done.stdout) if name == "ES256" else done.stdout

    def token(self, name, header=None, **claims):
        claims = {"sub": "ann", "exp": int(time.time()) + 600, **claims}
        head = {"alg": name, "kid": name, **(header or {})}
        text = f"{plain(json.dumps(head).encode())}.{plain(json.dumps(claims).encode())}"
        return f"{text}.{plain(self.sign(name, text.encode()))}"


@pytest.fixture(scope="module")
def issuer(session_folder):
    folder = session_folder / "issuer"
    folder.mkdir()
    return Issuer(folder)


ALGORITHMS = ["HS256", *Issuer.KINDS]
INVALID = 'Bearer realm="restricted", error="invalid_token"'


@pytest.fixture(scope="module")
def bearing(issuer):
    origin = AnsweringOrigin()
    routes = "".join(f"route /{name} {{ auth jwt key={issuer.folder}/{name}; proxy {origin.url}; }}"
                     for name in ALGORITHMS)
    text = f"""
        module headers;
        site a.test {{
            auth jwt jwks={issuer.folder}/jwks.json cookie=session;
            response_header set X-User "$auth_user";
            proxy {origin.url};
            {routes}
            route /asked {{ auth jwt jwks={issuer.folder}/jwks.json audience=us,them issuer=https://idp.test
                            claim=role:admin leeway=5s; proxy {origin.url}; }}
        }}
    """
    try:
        with serving(text, modules=["auth"]) as weir:
            yield weir
    finally:
        origin.stop()


def bearer(token):
    return f"Authorization: Bearer {token}"


@pytest.mark.parametrize("name", ALGORITHMS)
def test_tokens_of_each_algorithm(bearing, issuer, name):
    token = issuer.token(name)
    for target in ("/", f"/{name}"):
        response = bearing.get(target, bearer(token), "Remote-User: root")
        assert response.status == 200 and response.get("X-User") == "ann"
        assert request_of(response.body).all("Remote-User") == ["ann"]
    for other in set(ALGORITHMS) - {name}:
        assert bearing.get(f"/{other}", bearer(token)).status == 401
    head, claims, signature = token.split(".")
    changed = ("B" if signature[9] == "A" else "A").join([signature[:9], signature[10:]])
    forged = plain(json.dumps({"sub": "root"}).encode())
    for wrong in (f"{head}.{claims}.{changed}", f"{head}.{forged}.{signature}", token[:-4], f"{head}.{claims}.",
                  issuer.token(name, {"kid": "another"}), issuer.token(name, exp=int(time.time()) - 1)):
        response = bearing.get("/", bearer(wrong))
        assert response.status == 401 and response.get("WWW-Authenticate") == INVALID


def test_the_public_key_is_no_secret(bearing, issuer):
    """alg says HS256, and the key is what everybody knows."""
    for name in Issuer.KINDS:
        text = f"{plain(json.dumps({'alg': 'HS256', 'kid': name}).encode())}.{plain(b'{}')}"
        mac = hmac.new((issuer.folder / name).read_bytes(), text.encode(), "sha256").digest()
        for target in ("/", f"/{name}"):
            assert bearing.get(target, bearer(f"{text}.{plain(mac)}")).status == 401


def test_a_missing_token_is_asked_for_without_an_error(bearing):
    response = bearing.get("/")
    assert response.status == 401 and response.get("WWW-Authenticate") == 'Bearer realm="restricted"'


def test_a_token_in_a_cookie(bearing, issuer):
    token = issuer.token("ES256")
    assert bearing.get("/", f"Cookie: a=b; session={token}").status == 200
    assert bearing.get("/ES256", f"Cookie: session={token}").status == 401  # not asked for there
    assert bearing.get("/", f"Cookie: session={token}; session={token}").status == 401


def test_what_claims_must_say(bearing, issuer):
    fine = {"aud": ["x", "us"], "iss": "https://idp.test", "role": ["user", "admin"]}
    now = int(time.time())
    assert bearing.get("/asked", bearer(issuer.token("HS256", **fine))).status == 200
    assert bearing.get("/", bearer(issuer.token("HS256", **fine))).status == 401  # aud, but none is ours
    for wrong in ({"aud": "x"}, {"iss": "https://idp.test/"}, {"role": "user"}, {"nbf": now + 60}, {"exp": now - 60}):
        assert bearing.get("/asked", bearer(issuer.token("HS256", **{**fine, **wrong}))).status == 401


def test_replaced_keys_hold_from_then_on(weir, folder, issuer):
    path, following = folder / "keys", folder / "next"
    path.write_text(json.dumps({"keys": [issuer.jwk("ES256")]}))
    one = weir(f"module auth; site a.test {{ auth jwt jwks={path}; respond 200 in; }}")
    assert one.get("/", bearer(issuer.token("ES256"))).status == 200
    following.write_text(json.dumps({"keys": [issuer.jwk("EdDSA")]}))
    following.replace(path)
    eventually(lambda: "was replaced and read" in one.log(), "the keys to be read")
    assert one.get("/", bearer(issuer.token("EdDSA"))).status == 200
    assert one.get("/", bearer(issuer.token("ES256"))).status == 401
    path.write_text('{"keys":[]}')
    eventually(lambda: "what was read before stays" in one.log(), "the broken file to be noticed")
    assert one.get("/", bearer(issuer.token("EdDSA"))).status == 200


@pytest.mark.parametrize("line, error", [
    ("auth jwt;", "either key=FILE"), ("auth jwt key={0}/ES256 jwks={0}/jwks.json;", "either key=FILE"),
    ("auth jwt key={0}/jwks.json;", "name it with jwks="), ("auth jwt jwks={0}/ES256;", "not JSON"),
    ("auth jwt key={0}/ES256.key;", "no public key in it"), ("auth jwt key={0}/ES256 claim=role;", "claim=NAME:VALUE"),
    ("auth jwt key={0}/ES256 cookie=a;b;", "unknown"), ("auth jwt {0}/ES256;", "options alone"),
    ("auth basic {0}/ES256 audience=x;", "options of auth jwt"), ("auth cert san=a.test;", "begins with DNS:"),
    ("auth jwt key={0}/ES256 subject=x;", "options of auth cert")])
def test_mistakes_in_the_configuration_of_tokens(weir, issuer, line, error):
    one = weir("site a.test { respond 204; }")
    one.write(f"module auth; site a.test {{ {line.format(issuer.folder)} respond 200; }}")
    done = one.cli("check")
    assert done.returncode == 1 and error in done.stderr


# -- client certificates -----------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def known(certificates):
    text = f"""
        module headers;
        tls_certificate {certificates['b']}; tls_client_ca {certificates.path('ca.crt')}; tls_verify_client optional;
        site a.b.test {{
            auth cert subject=CN=alice,O=* issuer=CN=ca,*;
            response_header set X-User "$auth_user"; respond 200 "$tls_client_san";
            route /any {{ auth cert; respond 200 in; }}
            route /bob {{ auth cert subject=CN=bob*; respond 200 in; }}
            route /issuer {{ auth cert issuer=CN=other*; respond 200 in; }}
            route /root {{ auth cert san=DNS:root.home; respond 200 in; }}
            route /san {{ auth cert san=DNS:*.test; respond 200 "$tls_client_san"; }}
        }}
    """
    with serving(text, modules=["auth", "tls"]) as weir:
        yield weir


@pytest.mark.parametrize("certificate, target, status", [
    ("alice", "/", 200), ("alice", "/any", 200), ("alice", "/bob", 403), ("alice", "/issuer", 403),
    ("alice", "/san", 403), ("b", "/", 403), ("mallory", "/", 403), ("mallory", "/any", 403), (None, "/", 403),
    (None, "/any", 403)])
def test_client_certificates(known, certificates, certificate, target, status):
    client = known.connect_tls(certificates.client(certificate=certificate), "a.b.test")
    response = client.get(target, host="a.b.test")
    client.close()
    assert response.status == status
    if (certificate, target) == ("alice", "/"):
        assert response.get("X-User") == "CN=alice,O=Weir tests"


def test_alternative_names(known, certificates):
    """One name that looks like two stays one."""
    certificates.issue("carol", "carol", client=True)
    extensions = certificates.folder / "carol.ext"
    extensions.write_text(extensions.read_text() + "subjectAltName=@names\n[names]\nURI.1=http://x/,DNS:root.home\n"
                          "DNS.1=carol.test\nIP.1=192.0.2.1\nIP.2=::1\nemail.1=c@a.test\n")
    made("openssl", "x509", "-req", "-in", certificates.path("carol.csr"), "-CA", certificates.path("ca.crt"),
         "-CAkey", certificates.path("ca.key"), "-CAcreateserial", "-days", "30", "-extfile", str(extensions),
         "-out", certificates.path("carol.crt"))
    client = known.connect_tls(certificates.client(certificate="carol"), "a.b.test")
    response, other = (client.get(target, host="a.b.test") for target in ("/san", "/root"))
    client.close()
    assert response.status == 200 and other.status == 403
    assert response.text == "URI:http://x/\\,DNS:root.home,DNS:carol.test,IP:192.0.2.1,IP:::1,email:c@a.test"


def test_without_tls_there_is_no_certificate(weir):
    one = weir("module auth; site a.test { auth cert; respond 200 in; }")
    assert one.get("/").status == 403
