# SPDX-License-Identifier: BSD-2-Clause
"""The origin behind all proxies: an nginx that answers from memory and the page cache, cheaper than any proxy."""
import random
import socket
import subprocess
import time

SIZES = {"16k": 16 << 10, "1m": 1 << 20, "100m": 100 << 20}
SMALL = b"x" * 128
TEXT = 50 << 10


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process, seconds=20):
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


def prose(size):
    """The same text at each call: words of one to four syllables, few often and many seldom, as in a language."""
    dice = random.Random(7)
    syllables = [a + b for a in "bcdfghlmnprstvw" for b in ("a", "e", "i", "o", "u", "an", "er", "is", "ot")]
    words = ["".join(dice.choices(syllables, k=dice.randint(1, 4))) for _ in range(3000)]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    text, length = [], 0
    while length < size:
        sentence = " ".join(dice.choices(words, weights, k=dice.randint(5, 17))).capitalize()
        text.append(sentence + dice.choice([". ", ".\n"]))
        length += len(text[-1])
    return "".join(text)[:size].encode()


class Origin:
    """/small: 128 bytes; /16k, /1m, /100m: so much; /chunked: 64 KB without a length; /text: 50 KB of text/plain."""

    def __init__(self, folder):
        self.folder = folder / "origin"
        self.port = free_port()
        www = self.folder / "www"
        www.mkdir(parents=True)
        for name, size in SIZES.items():
            with open(www / name, "wb") as file:
                file.truncate(size)
        (www / "chunked").write_bytes(b"x" * (64 << 10))
        (www / "text").write_bytes(prose(TEXT))
        config = self.folder / "nginx.conf"
        config.write_text(f"""
worker_processes 1;
daemon off;
pid {self.folder}/pid;
error_log stderr error;
events {{ worker_connections 15000; }}
http {{
    access_log off;
    sendfile on;
    sendfile_max_chunk 512k;
    output_buffers 2 64k;
    open_file_cache max=10;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    client_body_temp_path {self.folder}/body; proxy_temp_path {self.folder}/proxy;
    fastcgi_temp_path {self.folder}/f; uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s;
    server {{
        listen 127.0.0.1:{self.port} backlog=4096;
        root {www};
        location = /small {{ return 200 "{SMALL.decode()}"; }}
        location = /chunked {{ ssi on; ssi_types *; }}
        location = /text {{ default_type text/plain; }}
    }}
}}
""")
        log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(["nginx", "-p", str(self.folder), "-c", str(config)], stdout=log, stderr=log)
        wait_for_port(self.port, self.process)

    def stop(self):
        self.process.terminate()
        self.process.wait()
