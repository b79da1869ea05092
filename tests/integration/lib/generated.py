# SPDX-License-Identifier: BSD-2-Clause
"""Configurations and requests by chance: sites, routes, deciders and answers in every combination that binds.

Shape: Generator(seed, places).configuration() is a tree of Blocks, which render() turns into text, with changes when
wanted; request() is one that fits it. The same seed gives the same. places: what the text names that the test has made
(files, ports).
Units: how much there is, in `sites`."""

import base64
import hmac
import json
import random

DECIDERS = ["access", "ratelimit", "geoip", "auth", "maintenance"]
FILES = {"users": "ann:$apr1$weirweir$4p6NStbDGNzOM1JYTq1Xx0\n", "key": "0123456789abcdef" * 2,
         "page.html": "<p>a page for $status", "page.json": '{"no":true}', "www/index.html": "<p>index",
         "www/a/b.txt": "text"}
CLIENTS = ["10.0.0.1", "10.1.2.3", "10.2.3.4", "172.16.9.9", "192.0.2.1", "192.0.2.200", "198.51.100.7",
           "2001:db8:1::9", "2001:db8:ffff::1", "127.0.0.1"]
NETS = ["10.0.0.0/8", "10.1.0.0/16", "172.16.0.0/12", "192.0.2.0/24", "198.51.100.7", "2001:db8::/32", "127.0.0.1",
        "all"]
PREFIXES = ["/", "/a/", "/a/b/", "/a", "/api/", "/api/v2/", "/files/"]
EXACT = ["/", "/exact", "/a/b.txt", "/api/"]
PATTERNS = [r"^/re/[0-9]+$", r"\.php$", r"^/(a|api)/", r"b\.txt$"]
PATHS = ["/", "/exact", "/exact/", "/a", "/a/", "/a/b.txt", "/a/b/c", "/api/", "/api/x.php", "/api/v2/y?x=1&token=s",
         "/re/12", "/re/x", "/x.php?q", "/files/a/b.txt", "/files/", "/files/none", "/%61pi/z", "/a/../exact",
         "//a//b.txt", "/a/%2e%2e/exact", "/%zz", "/nothing?"]
METHODS = ["GET", "GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"]


def plain(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def token(**claims):
    """Signed with FILES["key"]."""
    text = ".".join(plain(json.dumps(part).encode()) for part in ({"alg": "HS256"}, {"sub": "ann", **claims}))
    return f"{text}.{plain(hmac.new(FILES['key'].encode(), text.encode(), 'sha256').digest())}"


FIELDS = [
    *[()] * 6, ("X-Kind: beta",), ("X-Kind: other",), ("x-kind:  beta ",), ("X-Kind: a", "X-Kind: beta"),
    ("X-Key: k1",), ("X-Key: k2",), ("Accept: application/json",), ("Max-Forwards: 0",), ("Max-Forwards: x",),
    ("Authorization: Basic " + base64.b64encode(b"ann:secret").decode(),), ("Authorization: Basic !!!",),
    ("Authorization: Bearer " + token(exp=4000000000),), ("Authorization: Bearer x",),
    ("Authorization: Bearer " + token(exp=4000000000, role="admin"),), ("Authorization: Bearer " + token() + "x",),
    ("Authorization: Bearer " + token(exp=1),),
    ("If-None-Match: *",), ("Range: bytes=0-1",), ("Via: 1.1 other",), ("Connection: X-Kind", "X-Kind: beta"),
]


class Block:
    """lines: (the module they belong to, text); blocks inside."""

    def __init__(self, head):
        self.head, self.lines, self.blocks = head, [], []

    def render(self, change=lambda module, text: text, depth=0):
        """change may replace a line, or leave it out (None). Each line stays where it is in all renderings."""
        pad = "    " * depth
        changed = [change(module, text) for module, text in self.lines]
        inner = [f"{pad}    {line}" if line else "" for line in changed]
        inner += [block.render(change, depth + 1) for block in self.blocks]
        return "\n".join([f"{pad}{self.head} {{", *inner, pad + "}"])


class Configuration:
    def __init__(self, seed):
        self.seed = seed
        self.top, self.blocks, self.hosts, self.bans, self.doors = [], [], [], False, []

    def render(self, change=lambda module, text: text):
        changed = [change(module, text) for module, text in self.top]
        return "\n".join([line or "" for line in changed] + [block.render(change) for block in self.blocks]) + "\n"


class Generator:
    def __init__(self, seed, places, sites=4, may_shadow=True):
        self.rng, self.seed, self.places, self.sites = random.Random(seed), seed, places, sites
        self.may_shadow = may_shadow
        self.counted = 0

    def chance(self, percent):
        return self.rng.random() * 100 < percent

    def one(self, *choices):
        return self.rng.choice(choices)

    # -- lines -----------------------------------------------------------------------------------------------------

    def access(self):
        for _ in range(self.rng.randint(1, 3)):
            yield f"{self.one('allow', 'deny', 'deny')} {self.one(*NETS)};"

    def geoip(self):
        yield self.one("geoip_deny DE;", "geoip_allow US;", "geoip_deny continent:EU AS64496;", "geoip_allow DE JP;",
                       "geoip_deny AS64496;")

    def ratelimit(self):
        self.counted += 1
        key = self.one("", "", " key=$http_x_key", " key=all", " key=$host", " key=$uri")
        zone = f" zone=z{self.seed}_{self.counted}"
        status = self.one("", "", "", " status=503")
        yield f"rate_limit {self.one(1, 2)}r/h burst={self.one(0, 1, 3, 9)}{key}{zone}{status};"
        if self.chance(20):
            yield f"conn_limit {self.one(20, 50)}{self.one('', ' key=$host')};"
        if self.chance(15):
            yield f"rate_limit_fields {self.one('always', 'off')};"
        if self.chance(10):
            self.bans = True
            yield "ban after=2 within=1h for=1h;"

    def auth(self):
        yield self.one("auth basic users;", "auth basic users realm=here;", "auth jwt key=key;",
                       "auth jwt key=key claim=role:admin;", "auth jwt key=key cookie=session;", "auth cert;",
                       "auth cert subject=CN=ann*;", "auth off;",
                       f"auth forward http://127.0.0.1:{self.places['gate']};")
        if self.chance(50):
            yield f"satisfy {self.one('any', 'any', 'all')};"

    def maintenance(self):
        yield self.one("maintenance on;", "maintenance on bypass=10.0.0.0/8,192.0.2.1;", "maintenance off;")

    def lines(self, block_lines, percents):
        """Deciders with these chances; then what goes with them."""
        for module, percent in zip(DECIDERS, percents):
            if self.chance(percent):
                block_lines += [(module, line) for line in getattr(self, module)()]
        if self.may_shadow and self.chance(30):
            names = self.rng.sample(DECIDERS, self.rng.randint(1, 3))
            block_lines.append(("core", f"enforce {self.one('off', 'off', 'on')} {' '.join(names)};"))
        if self.chance(20):
            statuses = self.rng.sample(["401", "403", "404", "429", "502", "503"], 2)
            block_lines.append(("core", f"error_page {' '.join(statuses)} {self.one('page.html', 'page.json')};"))
        if self.chance(20):
            block_lines.append(("headers", self.one('request_header set X-Seen "$route";',
                                                    'request_header remove X-Kind;',
                                                    'request_header set X-Kind beta;',
                                                    'response_header set X-More "$site|$route";',
                                                    'response_header remove Retry-After;')))
        if self.chance(10):
            block_lines.append(("core", self.one("max_body 1k;", "timeout response=9s;")))
        self.rng.shuffle(block_lines)

    def answer(self, is_prefix):
        base = [f"http://127.0.0.1:{self.places['origin']}/base/"] if is_prefix else []
        if self.chance(45):
            return ("proxy", f"proxy {self.one('u', 'u', 'u', 'dead', *base)};")
        if self.chance(20):
            return ("files", f"files www{self.one('', ' index=index.html')};")
        if self.chance(20):
            return ("redirect", self.one('redirect 301 "https://$host$uri";', "redirect 302 /other$path;",
                                         'redirect 308 "http://b.test/?from=$path";', "redirect 303 /;"))
        if self.chance(6):
            return ("health", "health;")
        return ("respond", self.one('respond 200 "$host $path $method\\n";', "respond 204;", 'respond 403 "own";',
                                    'respond 201 "made";', 'respond 500 "own";', 'respond 410;'))

    # -- blocks ----------------------------------------------------------------------------------------------------

    def route(self, taken):
        kind = self.one("", "", "", "= ", "~ ")
        path = self.one(*{"": PREFIXES, "= ": EXACT, "~ ": PATTERNS}[kind])
        words = [f"{kind}{path}"]
        if self.chance(20):
            words.append(self.one("method=GET", "method=POST,PUT", "method=HEAD,GET,OPTIONS"))
        if self.chance(20):
            words.append(self.one("header=X-Kind:beta", "header=X-Kind", "header=Authorization"))
        if self.chance(15):
            words.append(self.one("client=10.0.0.0/8", "client=192.0.2.0/24,2001:db8::/32"))
        if len(words) == 1 and kind != "~ ":
            if words[0] in taken:
                return None
            taken.add(words[0])
        block = Block("route " + " ".join(words))
        self.lines(block.lines, [30, 20, 20, 25, 10])
        if self.chance(85):
            block.lines.append(self.answer(is_prefix=kind == ""))
        return block

    def site(self, names):
        block = Block("site " + " ".join(names))
        ports = self.one("", "", "", f"listen {self.places['other']};",
                         f"listen {self.places['http']}; listen {self.places['other']};")
        if ports:
            block.lines.append(("site", ports))
        if self.chance(15):
            block.lines.append(("tls", "tls_certificate internal;"))
            if self.chance(40):
                block.lines.append(("site", f"https_redirect {self.one('on', 'off', 'off')};"))
        self.lines(block.lines, [25, 20, 15, 25, 10])
        if self.chance(50):
            block.lines.append(self.answer(is_prefix=False))
        taken = set()
        made = [self.route(taken) for _ in range(self.rng.randint(0, 6))]
        block.blocks = [route for route in made if route]
        return block

    def configuration(self):
        made = Configuration(self.seed)
        self.bans = False
        self.lines(made.top, [8, 8, 8, 8, 3])
        fixed = ["trusted_proxies 127.0.0.1;",
                 "geoip_database " + self.places["geoip"] + ";",
                 f"upstream u {{ server 127.0.0.1:{self.places['origin']};"
                 f" balance {self.one('round_robin', 'random')}; }}",
                 "upstream dead { server 127.0.0.1:1 max_fails=0; }"]
        made.top = [("core", line) for line in fixed] + made.top
        for i in range(self.sites):
            base = f"s{i}.test"
            names = self.one([base], [base, f"www.{base}"], [f"*.{base}"], [base, f"*.{base}"],
                             [f"*.a.{base}", f"a.{base}"])
            made.blocks.append(self.site(names))
            if self.chance(40) and f"*.{base}" in names:
                made.blocks.append(self.site([f"*.a.{base}"]))
            made.hosts += [base, f"www.{base}", f"q.{base}", f"r.a.{base}", base.upper() + "."]
        if self.chance(40):
            made.blocks.append(self.site(["_"]))
        self.rng.shuffle(made.blocks)
        made.hosts.append("other.test")
        made.bans = self.bans
        made.doors = ["https", "other"] if "tls_certificate" in made.render() else ["other"]
        return made

    def request(self, configuration):
        """(method, host, path, fields, port)"""
        fields = (f"X-Forwarded-For: {self.one(*CLIENTS)}", *self.one(*FIELDS))
        return (self.one(*METHODS), self.one(*configuration.hosts), self.one(*PATHS), fields,
                self.places[self.one("http", "http", *configuration.doors)])
