# SPDX-License-Identifier: BSD-2-Clause
"""h2o, Caddy and Apache: measured beside the others when they are installed."""
import os

from proxies import Proxy


class H2o(Proxy):
    name = program = "h2o"

    def configure(self):
        setup = self.setup
        tls = (f"ssl: {{ certificate-file: {self.certificate}.crt, key-file: {self.certificate}.key, "
               "minimum-version: TLSv1.2 }")
        names = ["default"] if setup.sites == 1 else [f"site{i}.example" for i in range(setup.sites)]
        host = f"""
    paths:
      /:
        proxy.reverse.url: "http://127.0.0.1:{self.origin}/"
"""
        config = self.folder / "h2o.conf"
        config.write_text(f"""
num-threads: {setup.workers}
max-connections: 15000
tcp-fastopen: 0
pid-file: {self.folder}/pid
error-log: {self.folder}/error
{"user: root" if os.getuid() == 0 else ""}
{f"compress: {{ gzip: {setup.gzip} }}" if setup.gzip else ""}
{f"access-log: {self.folder}/access.log" if setup.log else ""}
proxy.preserve-host: ON
proxy.timeout.keepalive: 60000
listen: {{ host: 127.0.0.1, port: {self.http} }}
listen: {{ host: 127.0.0.1, port: {self.https}, {tls} }}
hosts:
""" + "".join(f"  \"{name}\":{host}" for name in names))
        return ["h2o", "-m", "worker", "-c", str(config)]


class Caddy(Proxy):
    name = program = "caddy"
    version_asked = ("version",)
    share = 0.3

    def configure(self):
        setup, features = self.setup, ""
        if setup.gzip:
            features += f"encode {{\n gzip {setup.gzip}\n match {{\n header Content-Type text/*\n }}\n }}\n"
        if setup.log:
            features += f"log {{\n output file {self.folder}/access.log\n }}\n"
        body = f"{features}reverse_proxy 127.0.0.1:{self.origin}\n"
        sites = [f"http://:{self.http} {{\n{body}}}\n"]
        if setup.sites > 1:
            sites = [f"http://site{i}.example:{self.http} {{\n{body}}}\n" for i in range(setup.sites)]
        config = self.folder / "Caddyfile"
        config.write_text("{\nadmin off\nauto_https off\nservers {\nprotocols h1 h2\n}\n}\n" + "".join(sites) +
                          f"https://:{self.https} {{\ntls {self.certificate}.crt {self.certificate}.key\n{body}}}\n")
        return ["env", f"GOMAXPROCS={setup.workers}", f"HOME={self.folder}",
                "caddy", "run", "--adapter", "caddyfile", "--config", str(config)]


APACHE_MODULES = "mpm_event authz_core unixd log_config proxy proxy_http ssl socache_shmcb headers http2"


class Apache(Proxy):
    """Its processes and threads are as many as the clients need, whatever the number of workers."""
    name, program = "apache", "apache2"
    share = 0.3

    def configure(self):
        setup, features = self.setup, ""
        modules = APACHE_MODULES.split() + (["filter", "deflate"] if setup.gzip else [])
        loads = "".join(f"LoadModule {m}_module /usr/lib/apache2/modules/mod_{m}.so\n" for m in modules
                        if os.path.exists(f"/usr/lib/apache2/modules/mod_{m}.so"))
        if setup.gzip:
            features += f"SetOutputFilter DEFLATE\nDeflateCompressionLevel {setup.gzip}\n"
        if setup.log:
            form = r'%h - %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"'
            features += f'CustomLog {self.folder}/access.log "{form}"\n'
        features += "ProxyPreserveHost On\n"
        body = f"{features}ProxyPass / http://127.0.0.1:{self.origin}/ keepalive=On max=512 ttl=60\n"
        names = [""] if setup.sites == 1 else [f"ServerName site{i}.example\n" for i in range(setup.sites)]
        config = self.folder / "apache.conf"
        config.write_text(f"""
{loads}
ServerRoot {self.folder}
PidFile {self.folder}/pid
Mutex file:{self.folder}
ErrorLog {self.folder}/error
LogLevel error
ServerName localhost
{"User www-data" if os.getuid() == 0 else ""}
{"Group www-data" if os.getuid() == 0 else ""}
Listen 127.0.0.1:{self.http}
Listen 127.0.0.1:{self.https}
ServerLimit {setup.workers}
StartServers {setup.workers}
ThreadsPerChild 64
MaxRequestWorkers {setup.workers * 64}
AsyncRequestWorkerFactor 200
KeepAlive On
KeepAliveTimeout 75
MaxKeepAliveRequests 0
""" + "".join(f"<VirtualHost 127.0.0.1:{self.http}>\n{name}{body}</VirtualHost>\n" for name in names) + f"""
<VirtualHost 127.0.0.1:{self.https}>
SSLEngine on
Protocols h2 http/1.1
SSLCertificateFile {self.certificate}.crt
SSLCertificateKeyFile {self.certificate}.key
{body}</VirtualHost>
""")
        return ["apache2", "-DFOREGROUND", "-f", str(config)]
