# SPDX-License-Identifier: BSD-2-Clause
"""Servers that others wrote, spoken to in HTTP/2: nginx, HAProxy, Apache (mod_http2), in clear text and over TLS, for
clients of either version; and what their end, orderly or not, does to requests."""

import os
import pathlib
import threading

import pytest

from lib.daemon import Load
from lib.http2 import connect
from lib.patience import IS_SANITIZED, eventually
from lib.ports import free_port
from lib.program import Program, curl, need, start_haproxy

LARGE = bytes(range(256)) * 16384  # 4 MB
SMALL = b"small\n"

NGINX = """
daemon off; master_process off; {user} pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off; client_max_body_size 0; keepalive_requests 100000;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} http2{ssl};
        {certificate}
        root {folder}/www;
        location /echo {{ return 200 "$server_protocol $http_host $scheme"; }}
    }}
}}
"""

APACHE = """
ServerRoot {folder}
PidFile {folder}/pid
ErrorLog {folder}/error.log
Listen 127.0.0.1:{port}
ServerName localhost
{modules}
{user}
Mutex default:{folder}
Protocols {protocols}
H2Direct on
DocumentRoot {folder}/www
<Directory {folder}/www>
    Require all granted
</Directory>
{ssl}
"""


def www(folder):
    (folder / "www").mkdir()
    (folder / "www" / "large").write_bytes(LARGE)
    (folder / "www" / "small").write_bytes(SMALL)


def start_nginx(folder, certificates, tls):
    program, port = need("nginx"), free_port()
    www(folder)
    lines = "ssl_certificate {}; ssl_certificate_key {};".format(
        certificates.path("origin.crt"), certificates.path("origin.key")) if tls else ""
    (folder / "nginx.conf").write_text(NGINX.format(
        folder=folder, port=port, ssl=" ssl" if tls else "", certificate=lines,
        user="user root;" if os.geteuid() == 0 else ""))
    return Program([program, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"], port, folder)


def start_apache(folder, certificates, tls):
    program, port = need("apache2"), free_port()
    www(folder)
    wanted = ["mpm_event", "authz_core", "http2", *(["ssl", "socache_shmcb"] if tls else [])]
    modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in wanted)
    ssl = f"SSLEngine on\nSSLCertificateFile {certificates.path('origin.crt')}\n" \
          f"SSLCertificateKeyFile {certificates.path('origin.key')}" if tls else ""
    (folder / "apache.conf").write_text(APACHE.format(
        folder=folder, port=port, modules=modules, ssl=ssl, protocols="h2" if tls else "h2c",
        user="User www-data\nGroup www-data" if os.geteuid() == 0 else ""))
    return Program([program, "-X", "-f", folder / "apache.conf"], port, folder)


def start_h2_haproxy(folder, certificates, tls):
    """In front of an nginx that serves the files."""
    inner = folder / "inner"
    inner.mkdir(mode=0o755)
    behind, port = start_nginx(inner, certificates, False), free_port()
    pem = [pathlib.Path(certificates.path(f"origin.{kind}")).read_text() for kind in ("crt", "key")]
    (folder / "both.pem").write_text("".join(pem))
    bind = f"ssl crt {folder}/both.pem alpn h2" if tls else "proto h2"
    front = start_haproxy(folder / "haproxy", port, f"""
frontend f
    mode http
    bind 127.0.0.1:{port} {bind}
    default_backend b
backend b
    mode http
    server s 127.0.0.1:{behind.port} proto h2
""")
    stop = front.stop

    def stop_both():
        stop()
        behind.stop()

    front.stop = stop_both
    return front


STARTERS = {"nginx": start_nginx, "apache": start_apache, "haproxy": start_h2_haproxy}


@pytest.fixture(params=[(name, tls) for name in STARTERS for tls in (False, True)],
                ids=lambda param: f"{param[0]}-{'tls' if param[1] else 'clear'}")
def peer(request, folder, certificates):
    name, tls = request.param
    one = STARTERS[name](folder, certificates, tls)
    one.tls = tls
    yield one
    one.stop()


def upstream(ports, *words, tls=False, workers=1, server=""):
    servers = " ".join(f"server 127.0.0.1:{port} {server};" for port in ports)
    return f"""{"module tls;" if tls else ""} workers {workers}; upstream u {{ {servers} protocol h2;
        {"tls on; tls_verify off;" if tls else ""} {' '.join(words)} }} site _ {{ proxy u; }}"""


def test_files_in_either_version(weir, peer):
    one = weir(upstream([peer.port], tls=peer.tls))
    client = one.connect()
    assert client.get("/small").body == SMALL
    assert client.get("/large").body == LARGE
    assert client.request("HEAD", "/large").response("HEAD").get("Content-Length") == str(len(LARGE))
    assert client.get("/absent").status == 404
    h2 = connect(one)
    assert h2.get("/large").body == LARGE
    streams = [h2.request(path="/small") for _ in range(100)]
    assert all(h2.response(stream).body == SMALL for stream in streams)
    answer = h2.get("/small", ("range", "bytes=1-3"))
    assert (answer.status, answer.body) == (206, SMALL[1:4])
    etag = answer["etag"]
    assert h2.get("/small", ("if-none-match", etag)).status == 304


def test_uploads_that_are_answered_at_once(weir, peer):
    """Files take no POST: the answer comes before the content is over."""
    one = weir(upstream([peer.port], tls=peer.tls))
    for _ in range(3):
        done = curl("-o", "/dev/null", "-w", "%{http_code}", "--data-binary", "@-", "-H", "Expect:",
                    f"http://127.0.0.1:{one.http_port}/small", check=False)
        assert done.stdout in (b"405", b"200"), done
    assert one.connect().get("/small").body == SMALL


def test_nginx_sees_http_2(weir, folder, certificates):
    peer = start_nginx(folder, certificates, True)
    try:
        one = weir(upstream([peer.port], tls=True))
        assert one.get("/echo").body == b"HTTP/2.0 a.test https"
    finally:
        peer.stop()


def test_a_server_that_is_killed_costs_no_get(weir, folder, certificates):
    """kill -9 under load, and back: with `retry` all GETs are answered."""
    names = ("one", "two")
    folders = {name: folder / name for name in names}
    for one_folder in folders.values():
        one_folder.mkdir(mode=0o755)
    peers = {name: start_nginx(folders[name], certificates, False) for name in names}
    one = weir(upstream([peer.port for peer in peers.values()], "retry attempts=3 budget=100%;", workers=2,
                        server="max_fails=0"))
    clients = threading.local()

    def ask():
        if not hasattr(clients, "h2"):
            clients.h2 = connect(one)
        streams = [clients.h2.request(path="/small") for _ in range(4)]
        for stream in streams:
            answer = clients.h2.response(stream)
            assert (answer.status, answer.body) == (200, SMALL)

    try:
        with Load(ask, threads=4) as load:
            for name in ("one", "two", "one"):
                before = load.answers
                eventually(lambda: load.answers > before + 20 or load.failures, "requests are answered", 60)
                peers[name].process.kill()
                peers[name].process.wait()
                before = load.answers
                eventually(lambda: load.answers > before + 20 or load.failures, "the other one answers", 60)
                conf = folders[name] / "nginx.conf"
                again = Program(["nginx", "-p", folders[name], "-e", folders[name] / "error.log", "-c", conf],
                                peers[name].port, folders[name])
                peers[name] = again
        assert not load.failures, load.failures[:3]
    finally:
        for peer in peers.values():
            peer.stop()


def test_goaway_under_load_costs_no_request(weir, folder, certificates):
    """nginx ends a connection in order after so many requests."""
    peer = start_nginx(folder, certificates, False)
    conf = folder / "nginx.conf"
    conf.write_text(conf.read_text().replace("keepalive_requests 100000", "keepalive_requests 10"))
    peer.stop()
    peer = Program(["nginx", "-p", folder, "-e", folder / "error.log", "-c", conf], peer.port, folder)
    try:
        one = weir(upstream([peer.port], workers=1))
        client = connect(one)
        for _ in range(5 if IS_SANITIZED else 20):
            streams = [client.request(path="/small") for _ in range(40)]
            answers = [client.response(stream) for stream in streams]
            assert {(answer.status, answer.body) for answer in answers} == {(200, SMALL)}
    finally:
        peer.stop()
