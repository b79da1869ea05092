# SPDX-License-Identifier: BSD-2-Clause
"""Upstreams that speak TLS: what is verified, what weir shows of itself, and what is said when either side refuses."""

import os
import ssl

import pytest

from lib.daemon import Weir
from lib.patience import eventually
from lib.websocket import EchoServer, WebSocket


def asking(certificates, name="origin", versions=None):
    """The context of an origin that lets nobody in without a certificate of the CA."""
    context = certificates.server(name)
    context.load_verify_locations(certificates.path("ca.crt"))
    context.verify_mode = ssl.CERT_REQUIRED
    if versions:
        context.minimum_version = context.maximum_version = versions
    return context


def config(port, *words, module="module tls;"):
    return f"""{module} module access-log; access_log access.log "$status $refuse_reason" buffer=0;
        upstream u {{ server 127.0.0.1:{port}; tls on; {" ".join(words)} }} site _ {{ proxy u; }}"""


def shown(certificates, name="alice"):
    return f"tls_client_certificate {certificates[name]};"


def trust(certificates, name="ca"):
    return f"tls_ca {certificates.path(name + '.crt')};"


def access_log(one):
    path = one.folder / "access.log"
    return eventually(lambda: path.exists() and path.read_text(), "a line in the access log")


@pytest.mark.parametrize("versions", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_lets_weir_in(weir, answering, certificates, versions):
    origin = answering(tls=asking(certificates, versions=versions))
    one = weir(config(origin.port, trust(certificates), shown(certificates)))
    assert one.get().status == 200
    assert one.get().status == 200


@pytest.mark.parametrize("versions, words", [
    (ssl.TLSVersion.TLSv1_2, ["refused by 127.0.0.1", "alert"]),
    (ssl.TLSVersion.TLSv1_3, ["refused by 127.0.0.1", "asks for a client certificate (tls_client_certificate)"]),
])
def test_without_one_the_origin_refuses_and_weir_says_why(weir, answering, certificates, versions, words):
    origin = answering(tls=asking(certificates, versions=versions))
    one = weir(config(origin.port, trust(certificates)))
    assert one.get().status == 502
    for word in words:
        assert word in one.log() and word in access_log(one)


def test_a_certificate_that_the_origin_does_not_know(weir, answering, certificates):
    origin = answering(tls=asking(certificates))
    one = weir(config(origin.port, trust(certificates), shown(certificates, "mallory")))
    assert one.get().status == 502
    assert "refused by 127.0.0.1" in one.log()


@pytest.mark.parametrize("name, words, why", [
    ("origin", ["other-ca"], "certificate of 127.0.0.1: "),
    ("stranger", ["ca"], "certificate of 127.0.0.1: name does not match"),
    ("a", ["ca", "tls_server_name b.test;"], "certificate of b.test: name does not match"),
])
def test_what_is_wrong_with_the_origins_certificate_is_said(weir, answering, certificates, name, words, why):
    origin = answering(tls=certificates.server(name))
    one = weir(config(origin.port, trust(certificates, words[0]), *words[1:]))
    assert one.get().status == 502
    assert why in one.log() and why in access_log(one)
    assert origin.requests == []


def test_the_systems_authorities_are_the_default(weir, answering, certificates):
    origin = answering(tls=certificates.server("origin"))
    one = weir(config(origin.port))
    assert one.get().status == 502
    assert "certificate of 127.0.0.1: " in one.log()


def test_verification_can_be_switched_off(weir, answering, certificates):
    origin = answering(tls=certificates.server("stranger"))
    assert weir(config(origin.port, "tls_verify off;")).get().status == 200


def test_the_server_name_is_asked_for(weir, answering, certificates):
    context, names = certificates.server("a"), []
    context.sni_callback = lambda sock, name, _: names.append(name)
    origin = answering(tls=context)
    one = weir(config(origin.port, trust(certificates), "tls_server_name a.test;"))
    assert one.get().status == 200
    assert names == ["a.test"]


def test_health_checks_show_it_too(weir, answering, certificates):
    origin = answering(tls=asking(certificates))
    one = weir(config(origin.port, trust(certificates), shown(certificates), "health_check interval=100ms;"))
    eventually(lambda: any(b"weir-check" in head for head in origin.heads()), "a check that got through")
    assert one.get().status == 200


def test_a_renewed_certificate_is_shown_after_a_reload(weir, answering, certificates):
    """Connections made with the former one are not used again."""
    origin = answering(tls=asking(certificates))
    files = {"shown.crt": open(certificates.path("alice.crt"), "rb").read(),
             "shown.key": open(certificates.path("alice.key"), "rb").read()}
    text = config(origin.port, trust(certificates), "tls_client_certificate shown.crt shown.key;")
    one = weir(text, files)
    assert one.get().status == 200
    renewed = {"shown.crt": open(certificates.path("mallory.crt"), "rb").read(),
               "shown.key": open(certificates.path("mallory.key"), "rb").read()}
    one.reload(text, renewed)
    eventually(lambda: one.get().status == 502, "the new one is shown, and refused")
    one.reload(text, files)
    eventually(lambda: one.get().status == 200, "the former one is back")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives up privileges")
def test_the_key_may_be_roots_alone(answering, certificates):
    origin = answering(tls=asking(certificates))
    with open(certificates.path("alice.key"), "rb") as key, open(certificates.path("alice.crt"), "rb") as certificate:
        files = {"shown.key": key.read(), "shown.crt": certificate.read()}
    text = "user nobody;" + config(origin.port, trust(certificates), "tls_client_certificate shown.crt shown.key;")

    one = Weir(text, files)
    try:
        os.chmod(one.folder / "shown.key", 0o600)
        one.start()
        assert one.get().status == 200
        one.reload()
        assert one.get().status == 200
        one.stop()
    finally:
        one.abandon()


@pytest.mark.parametrize("words, said", [
    ("tls_client_certificate {alice.crt} {mallory.key};", "does not belong to certificate"),
    ("tls_client_certificate {alice.crt} {nothing};", "cannot"),
    ("tls_client_certificate {alice.crt};", "KEY"),
])
def test_mistakes_are_named_with_their_line(certificates, words, said):
    for name in ("alice.crt", "mallory.key", "nothing"):
        words = words.replace("{" + name + "}", certificates.path(name))
    one = Weir(config(1, "\n", words))
    try:
        done = one.cli("check")
        assert done.returncode == 1
        assert said in done.stderr + done.stdout
        assert ":4:" in done.stderr + done.stdout
    finally:
        one.abandon()


@pytest.mark.parametrize("words", ["tls_client_certificate a.crt a.key;", "tls_ca a.crt;", "tls_server_name a.test;"])
def test_words_about_tls_need_tls(words):
    one = Weir(f"upstream u {{ server 127.0.0.1:1; {words} }} site _ {{ proxy u; }}")
    try:
        done = one.cli("check")
        assert done.returncode == 1
        assert "no TLS is spoken to it" in done.stderr + done.stdout
        assert "tls on;" in done.stderr + done.stdout
    finally:
        one.abandon()


def test_a_websocket_through_it(weir, certificates):
    server = EchoServer(tls=asking(certificates))
    try:
        one = weir(config(server.address.rpartition(":")[2], trust(certificates), shown(certificates)))
        client = WebSocket(f"ws://127.0.0.1:{one.http_port}/")
        assert client.echo("hello") == "hello"
        assert client.echo(b"\0" * 200_000) == b"\0" * 200_000
        client.ping()
        assert client.close() == 1000
    finally:
        server.stop()
