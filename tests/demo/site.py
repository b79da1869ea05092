# SPDX-License-Identifier: BSD-2-Clause
"""A small web service for ./dev run to stand behind weir: python3 site.py PORT."""

import html
import http.server
import sys

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>weir demo</title>
<style>body {{ font: 1rem/1.5 sans-serif; margin: 2rem auto; max-width: 50rem }} td {{ padding-right: 2rem }}</style>
<h1>Behind weir</h1>
<p>This page was made by a small service on the loopback interface. weir asked for it with these fields:</p>
<table>
{rows}
</table>
<p>The answer left the service plain. If your client accepts gzip, it arrived compressed.</p>
<h2>What to try next</h2>
<ul>
<li>Ask with <code>curl -i --compressed</code> and look at the fields of the answer: Content-Encoding, Vary.</li>
<li>Look into the access log: one line per request, with the client's address, the status and the bytes sent.</li>
<li>Change the site's file in conf.d, then ask <code>weir check</code> what it thinks, and <code>weir reload</code> to
make the change live. Connections that are open stay open; a mistake is refused and the former
configuration goes on serving.</li>
<li>Remove gzip.conf and reload: the module is gone, and with it everything it did.</li>
<li>Stop this service: weir answers 502 at once, names the reason in its error log, and recovers by itself.</li>
</ul>
</html>
"""


class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "demo"

    def answer(self, with_body):
        rows = "\n".join(f"<tr><td>{html.escape(name)}<td>{html.escape(value)}" for name, value in self.headers.items())
        page = PAGE.format(rows=rows).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if with_body:
            self.wfile.write(page)

    def do_GET(self):
        self.answer(with_body=True)

    def do_HEAD(self):
        self.answer(with_body=False)

    def log_message(self, format, *args):
        """Silent: weir's access log is the one to watch."""


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Site).serve_forever()
