# SPDX-License-Identifier: BSD-2-Clause
"""weir, nginx and HAProxy, each started with the same setup: upstream keep-alive on, no access log unless asked."""
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import origin


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a proxy is started with."""
    workers: int = 1
    gzip: int = 0         # level; 0: off
    log: bool = False     # a line per request, to a file
    limit: bool = False   # a limit of rate by the client's address, which is never reached
    sites: int = 1        # above 1: named site0.example, site1.example, ...
    key: str = "p256"     # or rsa2048


class Proxy:
    name = ""
    program = ""          # looked for in PATH
    share = 1.0           # of the requests that the others get: for those that take many times longer
    levels = (1, 6)       # of gzip that can be had
    has_sites = True
    reloads = False

    def __init__(self, folder, port, certificates, setup):
        self.folder = folder
        self.origin = port
        self.certificate = certificates[setup.key]
        self.setup = setup
        self.http, self.https = origin.free_port(), origin.free_port()
        self.process = None
        self.command = self.configure()

    @classmethod
    def is_there(cls):
        return shutil.which(cls.program) is not None

    @classmethod
    def fits(cls, setup):
        return (setup.gzip == 0 or setup.gzip in cls.levels) and (setup.sites == 1 or cls.has_sites)

    @classmethod
    def version(cls):
        text = subprocess.run([cls.program, *cls.version_asked], capture_output=True, text=True)
        found = re.search(r"\d+\.\d+\.\d+", text.stdout + text.stderr)
        return found[0] if found else "?"

    version_asked = ("-v",)

    def configure(self):
        """Writes the configuration; the command that starts it."""
        raise NotImplementedError

    def reload(self):
        raise NotImplementedError

    def spawn(self):
        with open(self.folder / "output", "ab") as output:
            self.process = subprocess.Popen(self.command, stdout=output, stderr=output, start_new_session=True)

    def start(self):
        self.spawn()
        origin.wait_for_port(self.http, self.process)
        origin.wait_for_port(self.https, self.process)

    @property
    def pid(self):
        return self.process.pid

    @property
    def host(self):
        return "localhost" if self.setup.sites == 1 else f"site{self.setup.sites // 2}.example"

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


class Weir(Proxy):
    name = "weir"
    reloads = True

    @classmethod
    def is_there(cls):
        return True

    @classmethod
    def version(cls):
        text = subprocess.run([os.environ["WEIR_BIN"], "version"], capture_output=True, text=True).stdout
        return re.search(r"\d+\.\d+\.\d+", text)[0]

    def configure(self):
        setup, features = self.setup, ""
        if setup.gzip:
            features += f"module gzip; gzip on; gzip_level {setup.gzip};\n"
        if setup.limit:
            features += "module ratelimit; rate_limit 1000000r/s burst=1000000;\n"
        if setup.log:
            features += f"module access-log; access_log {self.folder}/access.log;\n"
        sites = f"site _ {{ tls_certificate {self.certificate}.crt {self.certificate}.key; proxy origin; }}\n"
        if setup.sites > 1:
            sites += "".join(f"site site{i}.example {{ proxy origin; }}\n" for i in range(setup.sites))
        self.config = self.folder / "weir.conf"
        self.config.write_text(f"""
workers {setup.workers};
error_log stderr warn;
control {self.folder}/control.sock;
state_dir {self.folder}/state;
modules_dir {os.environ['WEIR_MODULES']};
http_port {self.http};
https_port {self.https};
https_redirect off;
module tls;
{features}
upstream origin {{ server 127.0.0.1:{self.origin}; keepalive 512; }}
{sites}""")
        return [os.environ["WEIR_BIN"], "run", "-c", str(self.config)]

    def reload(self):
        subprocess.run([os.environ["WEIR_BIN"], "reload", "-c", str(self.config)], check=True, capture_output=True)


NGINX_LOCATION = """
        location / {
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
        }"""


class Nginx(Proxy):
    name = program = "nginx"
    reloads = True

    def configure(self):
        setup = self.setup
        features = f"access_log {self.folder}/access.log combined buffer=64k;" if setup.log else "access_log off;"
        if setup.limit:
            features += (" limit_req_zone $binary_remote_addr zone=one:10m rate=1000000r/s;"
                         " limit_req zone=one burst=1000000 nodelay;")
        if setup.gzip:
            features += f" gzip on; gzip_comp_level {setup.gzip}; gzip_types text/plain; gzip_proxied any;"
        servers = f"""
    server {{
        listen 127.0.0.1:{self.http} backlog=4096;
        listen 127.0.0.1:{self.https} ssl http2 backlog=4096;
        ssl_certificate {self.certificate}.crt;
        ssl_certificate_key {self.certificate}.key;
        {NGINX_LOCATION}
    }}
"""
        if setup.sites > 1:
            listen = f"listen 127.0.0.1:{self.http};"
            servers += "".join(f"server {{ {listen} server_name site{i}.example; {NGINX_LOCATION} }}\n"
                               for i in range(setup.sites))
            features += " server_names_hash_max_size 65536;"
        config = self.folder / "nginx.conf"
        config.write_text(f"""
worker_processes {setup.workers};
daemon off;
pid {self.folder}/pid;
error_log stderr error;
events {{ worker_connections 15000; }}
http {{
    {features}
    keepalive_requests 100000000;
    client_body_temp_path {self.folder}/body;
    proxy_temp_path {self.folder}/proxy;
    fastcgi_temp_path {self.folder}/f; uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s;
    proxy_max_temp_file_size 0;
    proxy_buffers 8 64k;
    proxy_buffer_size 64k;
    proxy_busy_buffers_size 128k;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:a:10m;
    upstream origin {{ server 127.0.0.1:{self.origin}; keepalive 512; keepalive_requests 100000000; }}
    {servers}
}}
""")
        return ["nginx", "-p", str(self.folder), "-c", str(config)]

    def reload(self):
        self.process.send_signal(signal.SIGHUP)


class Haproxy(Proxy):
    name = program = "haproxy"
    levels = (1,)         # its own compressor has one
    reloads = True

    def configure(self):
        setup = self.setup
        pem = self.folder / "pem"
        pem.write_text(pathlib.Path(f"{self.certificate}.crt").read_text() +
                       pathlib.Path(f"{self.certificate}.key").read_text())
        features = ""
        if setup.log:
            features += "    log stdout format raw local0\n    option httplog\n"
        if setup.gzip:
            features += "    compression algo gzip\n    compression type text/plain\n"
        server = f"server a 127.0.0.1:{self.origin} pool-max-conn 512"
        choice, backends = "default_backend b", f"backend b\n    {server}\n"
        if setup.sites > 1:
            table = self.folder / "sites.map"
            table.write_text("".join(f"site{i}.example b{i}\n" for i in range(setup.sites)))
            choice = f"use_backend %[req.hdr(host),lower,map({table})]"
            backends = "".join(f"backend b{i}\n    {server}\n" for i in range(setup.sites))
        self.config = self.folder / "haproxy.cfg"
        self.config.write_text(f"""
global
    nbthread {setup.workers}
    maxconn 9900
    stats socket {self.folder}/socket mode 600 level admin expose-fd listeners
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    option forwardfor
    http-reuse always
{features}
frontend f
    bind 127.0.0.1:{self.http} backlog 4096
    bind 127.0.0.1:{self.https} ssl crt {pem} alpn h2,http/1.1 backlog 4096
    {choice}
{backends}""")
        return ["haproxy", "-W", "-S", f"{self.folder}/master", "-f", str(self.config)]

    def reload(self):
        self.process.send_signal(signal.SIGUSR2)
        time.sleep(0.1)   # the master takes its time to start the new worker: nothing tells when
