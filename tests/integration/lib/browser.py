# SPDX-License-Identifier: BSD-2-Clause
"""Chromium without a window, driven over WebDriver (W3C) by chromedriver.

Shape:   one Chromium for all tests; new_page() is a tab without cookies or cache, for a test to begin with.
         Names below .test are 127.0.0.1, and the tests' CA is trusted, as an administrator would have it trusted.
Life:    chromedriver and whatever it starts are one process group, which stop() ends, or a watcher when the tests are
         killed."""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys

from lib.patience import PATIENCE, SLOWNESS, eventually
from lib.ports import free_port
from lib.program import need

START = 60.0  # seconds that a first start may take, on a busy machine
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"

ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run",
             "--no-default-browser-check", "--disable-background-networking", "--disable-component-update",
             "--disable-default-apps", "--disable-extensions", "--disable-sync", "--disable-breakpad",
             "--password-store=basic", "--no-proxy-server", "--dns-prefetch-disable", "--mute-audio",
             "--window-size=800,600", "--host-resolver-rules=MAP *.test 127.0.0.1"]

WATCH = "import os, signal, sys; sys.stdin.read(); os.killpg(int(sys.argv[1]), signal.SIGKILL)"


class BrowserError(Exception):
    """What chromedriver or a script in the page answered instead."""


def trust(home, authority):
    """Chromium takes an administrator's authorities from the user's NSS database."""
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    for command in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "weir tests", "-i", authority]):
        done = subprocess.run([need("certutil"), "-d", f"sql:{database}", *command], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=START)
        assert done.returncode == 0, done.stderr


class Browser:
    def __init__(self, folder, authority):
        """folder: for its profile, short enough for unix sockets."""
        driver, program = need("chromedriver"), need("chromium")
        self.folder, self.port, self.session = folder, free_port(), ""
        trust(folder, authority)
        env = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
        with open(folder / "chromedriver.log", "ab") as log:
            self.process = subprocess.Popen([driver, f"--port={self.port}"], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True,
                                            env=dict(env, HOME=str(folder), TMPDIR=str(folder)))
        self.watcher = subprocess.Popen([sys.executable, "-c", WATCH, str(self.process.pid)],
                                        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        start_new_session=True)
        try:
            self._start(program)
        except BaseException:
            self.stop()
            raise

    def _start(self, program):
        eventually(self._is_ready, "chromedriver answers", START)
        options = {"binary": program, "args": [*ARGUMENTS, f"--user-data-dir={self.folder / 'profile'}"]}
        capabilities = {"browserName": "chrome", "goog:chromeOptions": options,
                        "timeouts": {"script": int(PATIENCE * SLOWNESS * 1000),
                                     "pageLoad": int(PATIENCE * SLOWNESS * 1000)}}
        self.session = "/session/" + self.command("POST", "/session", capabilities={"alwaysMatch": capabilities},
                                                  patience=START)["sessionId"]
        self.tab = self.command("GET", "/window")

    def _is_ready(self):
        assert self.process.poll() is None, (self.folder / "chromedriver.log").read_text()
        with contextlib.suppress(OSError, BrowserError):
            return self.command("GET", "/status")["ready"]
        return False

    def stop(self):
        """Ends it and all that it started; none may be left behind."""
        if self.session:
            with contextlib.suppress(OSError, BrowserError):
                self.command("DELETE", "", patience=PATIENCE)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        self.watcher.kill()
        self.watcher.communicate()
        eventually(lambda: not self.processes(), "the browser's processes are gone")

    def processes(self):
        """Those of its group that run."""
        found = []
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
                if int(group) == self.process.pid and state not in "ZX":
                    found.append(int(stat.parent.name))
        return found

    # -- WebDriver -------------------------------------------------------------------------------------------------

    def command(self, method, path, patience=None, **body):
        """One command; its value. BrowserError says what went wrong."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience or PATIENCE * SLOWNESS * 2)
        try:
            connection.request(method, self.session + path if path != "/status" else path,
                               body=None if method != "POST" else json.dumps(body))
            value = json.load(connection.getresponse())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise BrowserError(f"{value['error']}: {value['message'].splitlines()[0]}")
        return value

    def devtools(self, name, **arguments):
        """A command of the DevTools protocol."""
        return self.command("POST", "/goog/cdp/execute", cmd=name, params=arguments)

    def new_page(self):
        """A tab of its own; of what was before there are no cookies, no cache and no pages."""
        fresh = self.command("POST", "/window/new", type="tab")["handle"]
        self.command("DELETE", "/window")
        self.command("POST", "/window", handle=fresh)
        self.devtools("Network.clearBrowserCookies")
        self.devtools("Network.clearBrowserCache")
        return self

    # -- pages -----------------------------------------------------------------------------------------------------

    def open(self, url):
        self.command("POST", "/url", url=url)
        return self

    @property
    def url(self):
        return self.command("GET", "/url")

    def run(self, script, *args):
        """The script's value: a function's body, with arguments[]; what it awaits is awaited."""
        return self.command("POST", "/execute/sync", args=list(args),
                            script=f"return (async (...arguments) => {{ {script} }})(...arguments)")

    def until(self, script, *args):
        """The first true value of the script."""
        return eventually(lambda: self.run(script, *args), script, PATIENCE * SLOWNESS)

    def find(self, selector):
        return self.command("POST", "/element", using="css selector", value=selector)[ELEMENT]

    def text(self, selector="body"):
        return self.command("GET", f"/element/{self.find(selector)}/text")

    def type(self, selector, text):
        self.command("POST", f"/element/{self.find(selector)}/value", text=text)

    def click(self, selector):
        """A click that opens another page; until that is there."""
        def is_another():
            with contextlib.suppress(BrowserError):  # one page is gone and the other not yet there
                return self.run("return !window.clicked && document.readyState === 'complete'")
            return False
        element = self.find(selector)
        self.run("window.clicked = true")
        self.command("POST", f"/element/{element}/click")
        eventually(is_another, f"the page behind {selector}", PATIENCE * SLOWNESS)

    def cookies(self):
        """Of the page, by name; those that scripts do not see too."""
        return {one["name"]: one for one in self.command("GET", "/cookie")}

    def protocols(self):
        """Of the page and of each thing it loaded: ("h2", "http/1.1", ...)."""
        return self.run("return [...performance.getEntriesByType('navigation'), "
                        "...performance.getEntriesByType('resource')].map(one => one.nextHopProtocol)")
