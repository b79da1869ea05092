# SPDX-License-Identifier: BSD-2-Clause
"""The origin and the proxies in front of it, each with one worker, upstream keep-alive on and no access log."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

SIZES = {"small": 128, "16k": 16 * 1024, "1m": 1024 * 1024}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process, seconds=10):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"{process.args[0]} does not listen on {port}")


class Proxy:
    def __init__(self, name, folder):
        self.name = name
        self.folder = folder / name
        self.folder.mkdir()
        self.http, self.https = free_port(), free_port()
        self.process = None

    def spawn(self, *command):
        log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        wait_for_port(self.http, self.process)
        wait_for_port(self.https, self.process)

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Weir(Proxy):
    def start(self, origin, certificate):
        config = self.folder / "weir.conf"
        config.write_text(f"""
workers 1;
error_log stderr warn;
control {self.folder}/control.sock;
state_dir {self.folder}/state;
modules_dir {os.environ['WEIR_MODULES']};
http_port {self.http};
https_port {self.https};
https_redirect off;
module tls;
upstream origin {{ server 127.0.0.1:{origin}; keepalive 512; }}
site _ {{
    tls_certificate {certificate}.crt {certificate}.key;
    proxy origin;
}}
""")
        self.spawn(os.environ["WEIR_BIN"], "run", "-c", str(config))


class Nginx(Proxy):
    def start(self, origin, certificate):
        config = self.folder / "nginx.conf"
        config.write_text(f"""
worker_processes 1;
daemon off;
pid {self.folder}/pid;
error_log stderr error;
events {{ worker_connections 15000; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path {self.folder}/body;
    proxy_temp_path {self.folder}/proxy;
    fastcgi_temp_path {self.folder}/f; uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s;
    proxy_max_temp_file_size 0;
    proxy_buffers 8 64k;
    proxy_buffer_size 64k;
    proxy_busy_buffers_size 128k;
    upstream origin {{ server 127.0.0.1:{origin}; keepalive 512; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{self.http} backlog=4096;
        listen 127.0.0.1:{self.https} ssl backlog=4096;
        ssl_certificate {certificate}.crt;
        ssl_certificate_key {certificate}.key;
        ssl_session_cache shared:a:10m;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
""")
        self.spawn("nginx", "-p", str(self.folder), "-c", str(config))


class Haproxy(Proxy):
    def start(self, origin, certificate):
        pem = self.folder / "pem"
        pem.write_text(pathlib.Path(f"{certificate}.crt").read_text() + pathlib.Path(f"{certificate}.key").read_text())
        config = self.folder / "haproxy.cfg"
        config.write_text(f"""
global
    nbthread 1
    maxconn 9900
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    option forwardfor
    http-reuse always
frontend f
    bind 127.0.0.1:{self.http} backlog 4096
    bind 127.0.0.1:{self.https} ssl crt {pem} backlog 4096
    default_backend b
backend b
    server a 127.0.0.1:{origin} pool-max-conn 512
""")
        self.spawn("haproxy", "-f", str(config))


class House:
    """One origin, several proxies."""

    def __init__(self, folder):
        self.folder = folder
        self.proxies = []
        self.origin = None

    def start(self, wanted):
        port = self.start_origin()
        certificate = self.make_certificate()
        for kind, program in ((Weir, None), (Nginx, "nginx"), (Haproxy, "haproxy")):
            name = kind.__name__.lower()
            if (wanted and name not in wanted) or (program and not shutil.which(program)):
                continue
            proxy = kind(name, self.folder)
            self.proxies.append(proxy)
            proxy.start(port, certificate)

    def start_origin(self):
        port = free_port()
        self.folder.chmod(0o755) # the origin's workers are somebody else when we are root
        root = self.folder / "origin"
        (root / "www").mkdir(parents=True)
        for name, size in SIZES.items():
            (root / "www" / name).write_bytes(b"x" * size)
        config = root / "nginx.conf"
        config.write_text(f"""
worker_processes 1;
daemon off;
pid {root}/pid;
error_log stderr error;
events {{ worker_connections 15000; }}
http {{
    access_log off;
    sendfile on;
    open_file_cache max=10;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {root}/www;
        location = /small {{ return 200 "{'x' * SIZES['small']}"; }}
    }}
}}
""")
        log = open(root / "log", "wb")
        self.origin = subprocess.Popen(["nginx", "-p", str(root), "-c", str(config)], stdout=log, stderr=log)
        wait_for_port(port, self.origin)
        return port

    def make_certificate(self):
        base = self.folder / "certificate"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                        "-keyout", f"{base}.key", "-out", f"{base}.crt"], check=True, capture_output=True)
        return base

    def stop(self):
        for proxy in self.proxies:
            proxy.stop()
        if self.origin:
            self.origin.terminate()
            self.origin.wait()
