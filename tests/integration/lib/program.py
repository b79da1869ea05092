# SPDX-License-Identifier: BSD-2-Clause
"""Real programs beside weir: nginx, HAProxy and others. A test that needs an absent one is skipped."""

import os
import pathlib
import shutil
import socket
import subprocess
import time

import pytest

from lib.patience import PATIENCE
from lib.ports import free_port


def need(name):
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        pytest.skip(f"{name} is not installed (./dev setup test)")
    return found


class Program:
    """A server in the foreground, up once its port answers."""

    def __init__(self, command, port, folder, **how):
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.output = pathlib.Path(folder) / "output"
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output, **how)
        self._wait_until_open(command[0])

    def _wait_until_open(self, name):
        end = time.monotonic() + PATIENCE * 2
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert time.monotonic() < end, f"{name} did not open its port:\n{self.output.read_text()}"
            try:
                self.process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"{name} ended:\n{self.output.read_text()}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


NGINX = """
daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
worker_rlimit_nofile 8192; events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_timeout 60s; client_max_body_size 0; sendfile on; absolute_redirect off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    types {{ text/html html; text/css css; application/javascript js; image/png png; application/octet-stream bin; }}
    server {{
        listen 127.0.0.1:{port};
        root {folder}/www;
        location = /moved {{ return 302 /index.html; }}
        location = /drop {{ return 444; }}
        location /sink {{
            client_body_in_file_only on; proxy_pass http://127.0.0.1:{port}/empty; proxy_method GET;
            proxy_pass_request_body off; proxy_set_header Content-Length "";
        }}
        location /empty {{ return 204; }}
    }}
}}
"""


def start_nginx(folder):
    """nginx with its own prefix, serving what lies in www/."""
    program, port = need("nginx"), free_port()
    (folder / "www").mkdir(exist_ok=True)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, user=user))
    return Program([program, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"], port, folder)


NAMED = """
daemon off; master_process off; {user} pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off; keepalive_timeout 60s; keepalive_requests 1000000; default_type text/plain;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; location / {{ return 200 {name}; }} }}
}}
"""


def start_named_nginx(folder, name, port=None):
    """nginx of one process (kill -9 ends all of it) that answers everything with its name."""
    program, port = need("nginx"), port or free_port()
    folder.mkdir(exist_ok=True)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(NAMED.format(folder=folder, port=port, user=user, name=name))
    return Program([program, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"], port, folder)


def start_haproxy(folder, port, sections):
    """HAProxy with these frontends and backends; port is one that it opens."""
    program = need("haproxy")
    folder.mkdir(exist_ok=True)
    (folder / "haproxy.cfg").write_text(f"""
global
    maxconn 200
    ssl-server-verify none
defaults
    timeout connect 5s
    timeout client 30s
    timeout server 30s
{sections}
""")
    return Program([program, "-db", "-f", folder / "haproxy.cfg"], port, folder)


def start_prometheus(folder):
    program, port = need("prometheus"), free_port()
    (folder / "prometheus.yml").write_text("global:\n  scrape_interval: 1h\n")
    return Program([program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                    f"--web.listen-address=127.0.0.1:{port}", f"--web.external-url=http://127.0.0.1:{port}/"], port,
                   folder)


def start_websockify(folder, target_port):
    program, port = need("websockify"), free_port()
    return Program([program, f"127.0.0.1:{port}", f"127.0.0.1:{target_port}"], port, folder)


def curl(*args, timeout=60, check=True):
    """curl, quiet but for errors; stdout and stderr as bytes."""
    done = subprocess.run([need("curl"), "-sS", "--max-time", "30", *map(str, args)], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=timeout)
    if check:
        assert done.returncode == 0, (args, done.stderr.decode(errors="replace"))
    return done


def openssl(*args, stdin=b"", timeout=60):
    return subprocess.run([need("openssl"), *map(str, args)], input=stdin, capture_output=True, timeout=timeout)


APACHE = """
ServerRoot {folder}
ServerName peer.test
PidFile {folder}/apache.pid
DefaultRuntimeDir {folder}
ErrorLog {folder}/error.log
LogLevel warn
{user}
Listen 127.0.0.1:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule http2_module {modules}/mod_http2.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
LoadModule proxy_http2_module {modules}/mod_proxy_http2.so
LoadModule ssl_module {modules}/mod_ssl.so
StartServers 1
ServerLimit 1
ThreadsPerChild 32
MaxRequestWorkers 32
Mutex posixsem
ProxyTimeout 30
{sections}
"""


def start_apache(folder, port, sections):
    """Apache's httpd with these directives; port is the one that it opens."""
    program, modules = need("apache2"), pathlib.Path("/usr/lib/apache2/modules")
    if not (modules / "mod_proxy_http2.so").exists():
        pytest.skip("Apache has no mod_proxy_http2 (./dev setup test)")
    folder.mkdir(exist_ok=True)
    user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
    (folder / "apache.conf").write_text(APACHE.format(folder=folder, port=port, modules=modules, user=user,
                                                      sections=sections))
    return Program([program, "-D", "FOREGROUND", "-f", folder / "apache.conf"], port, folder)


def files_below(path):
    return {each for each in path.rglob("*") if each.is_file()}
