# SPDX-License-Identifier: BSD-2-Clause
"""The configuration as its owner meets it: check, dump, modules, pipeline, include."""

import os
import re

import pytest

from lib.daemon import MODULES, run_weir

ERROR = re.compile(r"(?P<file>[^\s:]+):(?P<line>\d+):(?P<column>\d+): (?P<kind>error|warning): (?P<what>.*)")


def check(folder, text, files=None):
    """Exit status, findings and all words of `weir check`."""
    for name, content in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    (folder / "weir.conf").write_text(text)
    done = run_weir("check", "-c", folder / "weir.conf")
    said = done.stdout + done.stderr
    return done.returncode, [match.groupdict() for match in map(ERROR.match, said.splitlines()) if match], said


def test_one_typo_of_each_kind_is_placed_and_explained_at_once(folder):
    """A directive, a value, an enum, a missing argument, a missing file: file, line, column, quote, caret, cure."""
    status, found, said = check(folder, f"""modules_dir {MODULES};
state_dir .;
include conf.d/*.conf;
shutdown_timeout 5sec;
""", {"conf.d/a.conf": """site a.test {
    proxi http://127.0.0.1:3000;
}
""", "conf.d/b.conf": """upstream u {
    server 127.0.0.1:81;
    balance round_robbin;
}
site b.test { proxy; }
""", "conf.d/c.conf": """module tls;
site c.test {
    tls_certificate nowhere.crt nowhere.key;
    respond 200 ok;
}
"""})
    assert status == 1
    places = {(os.path.basename(one["file"]), int(one["line"]), int(one["column"])): one["what"] for one in found
              if one["kind"] == "error"}
    assert places.keys() >= {("a.conf", 2, 5), ("weir.conf", 4, 18), ("b.conf", 3, 13), ("b.conf", 5, 15)}, said
    missing = [what for (name, line, _), what in places.items() if (name, line) == ("c.conf", 3)]
    assert len(missing) == 1 and "nowhere.crt" in missing[0], said
    assert 'unknown directive "proxi"' in places[("a.conf", 2, 5)]
    assert "5sec" in places[("weir.conf", 4, 18)]
    assert "round_robbin" in places[("b.conf", 3, 13)]
    assert re.search(r'2 \|     proxi http://127\.0\.0\.1:3000;\n +\|     \^~+ did you mean "proxy"\?', said), said
    assert re.search(r'\^~+ did you mean "round_robin"\?', said), said


def test_a_right_file_is_0(folder):
    status, found, said = check(folder, "site a.test { respond 200 ok; }\nstate_dir .;\n")
    assert (status, found) == (0, []), said


@pytest.mark.parametrize("text, line, column, words", [
    ("site a.test { respond 200 \"$nosuch\"; }", 1, 28, "nosuch"),
    ("site a.test { respond 200 \"${host\"; }", 1, 28, ""),
    ("site a.test { route ~ ( { respond 200 a; } }", 1, 24, ""),
    ("site a.test { proxy nosuch; }", 1, 21, "nosuch"),
    ("max_headers many;", 1, 13, "many"),
    ("max_headers 0;", 1, 13, "0"),
    ("timeout haeder=10s;", 1, 9, "haeder"),
    ("trusted_proxies 10.0.0.0/33;", 1, 17, "10.0.0.0/33"),
    ("site a.test { respond 600 x; }", 1, 23, "600"),
    ("site a.test { workers 2; }", 1, 15, "workers"),
    ("workers 2; workers 3;", 1, 12, "workers"),
    ("include nowhere.conf;", 1, 9, "nowhere.conf"),
    ("module nosuch;", 1, 8, "nosuch"),
    ("site a.test { listen 70000; }", 1, 22, "70000"),
    ("error_log stderr loud;", 1, 18, "loud"),
    ("https_redirect yes;", 1, 16, "yes"),
    ("site a.test { respond 200 ok }", 1, 29, ""),
    ("site a.test { respond 200 \"ok; }", 1, 27, ""),
])
def test_each_mistake_has_its_place(folder, text, line, column, words):
    status, found, said = check(folder, text + f"\nstate_dir {folder};\n")
    assert status == 1
    assert any((int(one["line"]), int(one["column"])) == (line, column) and words in one["what"] for one in found), said
    assert "^" in said


def test_a_missing_file_is_said_and_not_a_crash(folder):
    done = run_weir("check", "-c", folder / "nowhere.conf")
    assert done.returncode == 1 and "nowhere.conf" in done.stderr


def test_includes_are_relative_and_sorted_and_found_errors_name_their_file(folder):
    files = {"sites/b/weir.conf": "include parts/*.conf;", "sites/b/parts/2.conf": "site two.test { respond 200 2; }",
             "sites/b/parts/1.conf": "site one.test { repond 200 1; }"}
    status, found, said = check(folder, "include sites/b/weir.conf;\ninclude none/*.conf;\nstate_dir .;\n", files)
    assert status == 1 and len(found) == 1, said
    assert found[0]["file"].endswith("sites/b/parts/1.conf") and "repond" in found[0]["what"]


def test_order_never_matters(folder):
    """A module's directives may stand before the line that loads it, a site before its upstream."""
    status, _, said = check(folder, f"""gzip on;
site a.test {{ proxy later; }}
upstream later {{ server 127.0.0.1:81; }}
module gzip;
modules_dir {MODULES};
state_dir .;
""")
    assert status == 0, said


WHOLE = """
modules_dir {modules}; state_dir {folder}; control {folder}/control.sock; error_log {folder}/error.log warn;
module headers; module gzip; module access; module access-log;
http_port 8080; https_port 8443; shutdown_timeout 90s; trusted_proxies 10.0.0.0/8 ::1;
timeout header=5s idle=1m; max_body 16m; max_headers 50;
access_log {folder}/access.log combined rotate=10m keep=3;
gzip on; gzip_types text/html application/*+json;
error_page 502 503 {folder}/down.html;
response_header set X-A "with \\"quotes\\" and \\\\ and $host";
upstream u {{
    server 127.0.0.1:81 weight=2; server unix:/tmp/x.sock backup; balance round_robin; keepalive 8 timeout=5s;
}}
site a.test *.a.test {{
    listen 127.0.0.1:8081;
    allow 127.0.0.0/8; deny all;
    route = /x {{ respond 200 'raw $host; "quoted"'; }}
    route ~ ^/y/[0-9]+$ method=GET,HEAD {{ redirect 301 /z$uri; }}
    route /h/ header="X-Kind:a b" client=10.0.0.0/8 {{ maintenance on bypass=10.0.0.1; proxy u; }}
    route / {{ proxy http://127.0.0.1:82/base/; request_header add X-B $client_addr; }}
}}
site _ {{ respond 404; }}
"""


def test_dump_is_a_configuration_that_dumps_the_same(folder):
    (folder / "down.html").write_text("down")
    (folder / "weir.conf").write_text(WHOLE.format(modules=MODULES, folder=folder))
    first = run_weir("dump", "-c", folder / "weir.conf")
    assert first.returncode == 0, first.stderr
    (folder / "again.conf").write_text(first.stdout)
    checked = run_weir("check", "-c", folder / "again.conf")
    assert checked.returncode == 0, checked.stderr + checked.stdout
    second = run_weir("dump", "-c", folder / "again.conf")

    def without_comments(text):
        return [line.split(" #")[0].rstrip() for line in text.splitlines() if not line.lstrip().startswith("#")]

    assert without_comments(second.stdout) == without_comments(first.stdout)
    for word in ("http_port 8080", "max_body 16m", "*.a.test", "/h/", "bypass", "X-Kind", "unix:/tmp/x.sock"):
        assert word in first.stdout


def test_modules_are_listed_with_their_directives(folder):
    (folder / "weir.conf").write_text(f"modules_dir {MODULES}; state_dir .; module gzip; module access;")
    done = run_weir("modules", "-c", folder / "weir.conf")
    assert done.returncode == 0, done.stderr
    for word in ("gzip", "access", "gzip_level", "gzip_min_length", "allow", "deny"):
        assert re.search(rf"\b{word}\b", done.stdout), done.stdout
    assert re.search(r"\b0\.\d+\b", done.stdout), "the ABI"


PIPELINE = "modules_dir {modules}; state_dir .; {order} module gzip; module headers; module access; {more}"


def pipeline(folder, order="", more=""):
    (folder / "weir.conf").write_text(PIPELINE.format(modules=MODULES, order=order, more=more))
    return run_weir("pipeline", "-c", folder / "weir.conf")


def test_the_pipeline_is_shown_in_time_order(folder):
    done = pipeline(folder)
    assert done.returncode == 0, done.stderr
    said = done.stdout
    where = [said.upper().index(stage) for stage in ("GUARD", "AUTH", "REWRITE", "SERVE", "RSP_HEAD", "ENCODE")]
    assert where == sorted(where), said
    assert said.upper().index("AUTH") < said.index("access") < said.upper().index("REWRITE")
    assert said.upper().index("REWRITE") < said.index("headers") < said.upper().index("SERVE")


def test_load_order_is_not_pipeline_order(folder):
    first = pipeline(folder).stdout
    (folder / "weir.conf").write_text(f"module access; module headers; module gzip; modules_dir {MODULES};"
                                      " state_dir .;")
    assert run_weir("pipeline", "-c", folder / "weir.conf").stdout == first


def test_the_operator_may_reorder_a_stage(folder):
    def serving_order(**how):
        said = pipeline(folder, **how).stdout.partition("SERVE")[2].partition("BALANCE")[0]
        return re.findall(r"^ +\d+ +(\w+)", said, re.MULTILINE)

    before, after = serving_order(), serving_order(order="pipeline SERVE respond health;")
    assert before.index("health") < before.index("respond") and after[:2] == ["respond", "health"]
    assert sorted(before) == sorted(after)


def test_constraints_hold_against_the_operator(folder):
    """gzip decides behind what may still change the fields it decides by."""
    done = pipeline(folder, order="pipeline RSP_HEAD gzip headers;")
    said = done.stdout.partition("RSP_HEAD")[2]
    assert done.returncode == 0 and said.index("headers") < said.index("gzip")


def test_an_unknown_stage_is_refused(folder):
    done = pipeline(folder, order="pipeline NOWHERE gzip;")
    assert done.returncode == 1 and "NOWHERE" in done.stderr + done.stdout


def test_mistakes_on_the_command_line_are_2(folder):
    for args in (["serve"], ["check", "-x"], ["reload", "-c"], ["module", "paint"]):
        done = run_weir(*args)
        assert done.returncode == 2, (args, done.stdout, done.stderr)
        assert done.stderr


def test_version():
    done = run_weir("version")
    assert done.returncode == 0 and re.match(r"weir \d+\.\d+", done.stdout)
    assert "ABI" in run_weir("version", "-v").stdout


def test_commands_without_a_server_say_so(folder):
    (folder / "weir.conf").write_text(f"control {folder}/nobody.sock;\n")
    for command in ("reload", "stop", "status"):
        done = run_weir(command, "-c", folder / "weir.conf")
        assert done.returncode == 1 and "nobody.sock" in done.stderr
