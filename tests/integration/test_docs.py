# SPDX-License-Identifier: BSD-2-Clause
"""What the pages for contributors name is there: files, and in brackets behind a file what is found in it."""

import os
import pathlib
import re

import pytest

from lib.daemon import MODULES, run_weir

TOP = pathlib.Path(os.environ["WEIR_TOP"])
PAGES = [TOP / "README.md", TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").glob("**/*.md"))]
FOLDER = r"(?:server|sdk|modules|tests|docs|conf\.d|packaging)/"
FENCED = re.compile(r"```.*?```", re.DOTALL)


def prose(page):
    return FENCED.sub("", page.read_text())


def named_files(text):
    """(path, words in brackets); a bare name stands in the folder of the name before it."""
    folder = None
    for name, words in re.findall(r"`([^`\s]+)`(?:\s\(((?:`\w+`(?:, )?)+)\))?", text):
        if re.fullmatch(FOLDER + r"[\w./-]*", name):
            folder = name.rpartition("/")[0]
            yield name, re.findall(r"\w+", words)
        elif folder and re.fullmatch(r"[\w-]+\.[ch]", name):
            yield f"{folder}/{name}", re.findall(r"\w+", words)


def test_the_map_names_what_is_there():
    """docs/map.md: each file exists and holds the functions named behind it."""
    found = [one for line in prose(TOP / "docs" / "map.md").splitlines() for one in named_files(line)]
    assert len(found) > 60
    wrong = [path for path, _ in found if not (TOP / path).exists()]
    wrong += [f"{path}: {word}" for path, words in found for word in words
              if (TOP / path).is_file() and not re.search(rf"\b{word}\(", (TOP / path).read_text())]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_paths_and_links_of_a_page_lead_somewhere(page):
    text = prose(page)
    links = [target for target in re.findall(r"\]\(([^)#\s]+)\)", text) if "://" not in target]
    paths = [name for name in re.findall(rf"`({FOLDER}[\w./-]*)`", text) if not re.search("[A-Z]{4}", name)]
    wrong = [target for target in links if not (page.parent / target).exists()]
    assert wrong + [path for path in paths if not (TOP / path).exists()] == []


UNITS = {"h1_request": "http/test_h1_request", "h1_response": "http/test_h1_response", "h1_body": "http/test_h1_body",
         "h1_write": "http/test_h1_write", "field": "http/test_field", "uri": "http/test_uri",
         "http1": "engine/test_http1", "h2_head": "http/test_h2_head", "h2_guard": "http/test_h2_guard",
         "h2_client": "http/test_h2_client", "h2_links": "engine/test_upstream_http2"}


def test_each_clause_names_a_test_that_is_there():
    """docs/conformance.md: FILE:NAME in the third column; only a row that says "differs" may be without one."""
    sections = re.split(r"^## ", (TOP / "docs" / "conformance.md").read_text(), flags=re.MULTILINE)
    text = "".join(section for section in sections if section.startswith("RFC "))
    rows = [[cell.strip() for cell in row[1:-1].split(" | ")] for row in re.findall(r"^\| .* \|$", text, re.MULTILINE)]
    rows = [row for row in rows if row[0] not in ("clause", "---")]
    assert len(rows) > 130 and {row[-1] for row in rows} == {"yes", "stricter", "differs"}
    wrong = [row[0] for row in rows if len(row) != 4 or (row[3] != "differs" and ":" not in row[2])]
    for file, name in re.findall(r"(\w+):(\w+)", " ".join(row[2] for row in rows)):
        name_of_file = re.sub("^h2", "http2", file)
        path = TOP / "tests" / (f"unit/{UNITS[file]}.c" if file in UNITS else f"integration/test_{name_of_file}.py")
        if not path.exists() or not re.search(rf"\b{name}\(", path.read_text()):
            wrong.append(f"{file}:{name}")
    assert wrong == []


def items(page):
    """First words of a manual page's list items that are commands or directives."""
    text = (TOP / "docs" / "man" / page).read_text()
    return set(re.findall(r"^\.It Cm ([\w-]+(?: (?:new|check)\b)?)", text, re.MULTILINE))


def test_weir_8_has_every_command():
    said = re.findall(r"^  weir \[?((?:module )?[a-z]+)\b", run_weir("help").stdout, re.MULTILINE)
    assert len(said) > 10
    assert items("weir.8") == set(said)


def test_weir_conf_5_has_every_directive(folder):
    """Core and shipped modules, by their tables; and nothing else."""
    names = sorted(path.stem for path in pathlib.Path(MODULES).glob("*.so"))
    config = folder / "weir.conf"
    config.write_text(f"modules_dir {MODULES};\n" + "".join(f"module {name};\n" for name in names))
    done = run_weir("modules", "-v", "-c", config)
    assert done.returncode == 0, done.stderr
    sections = re.findall(r"^# (\S+)\n(.*?)(?=^# |\Z)", done.stdout, re.MULTILINE | re.DOTALL)
    directives = {name: set(re.findall(r"^## (\S+)$", text, re.MULTILINE)) for name, text in sections}
    core = set().union(*(found for name, found in directives.items() if name not in names))
    assert len(core) > 20
    assert items("weir.conf.5") == core | {"site", "route", "upstream", "include"}
    page = (TOP / "docs" / "man" / "weir.conf.5").read_text()
    shipped = set().union(*(directives[name] for name in names))
    assert {one for one in shipped if not re.search(rf"^\.Cm .*\b{one}\b", page, re.MULTILINE)} == set()
