# SPDX-License-Identifier: BSD-2-Clause
"""./dev new-module NAME: starts modules/NAME from the SDK's template and adds it to the build."""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[1]
TEMPLATE = TOP / "sdk" / "template"

LOCAL_MK = """\
# SPDX-License-Identifier: BSD-2-Clause
if MODULE_{upper}
module_LTLIBRARIES += modules/{name}/{name}.la
endif
modules_{id}_{id}_la_SOURCES = modules/{name}/{name}.c
modules_{id}_{id}_la_CPPFLAGS = $(MODULE_CPPFLAGS)
modules_{id}_{id}_la_CFLAGS = $(MODULE_CFLAGS)
modules_{id}_{id}_la_LDFLAGS = $(MODULE_LDFLAGS)
EXTRA_DIST += modules/{name}/{name}.md modules/{name}/{name}.conf
"""


def fill(source, name):
    text = (TEMPLATE / source).read_text()
    return text.replace("@name@", name).replace("@id@", name.replace("-", "_"))


def manual(name):
    """The template's README up to its part about building outside the tree."""
    return fill("README.md", name).split("\n    make ")[0].rstrip() + "\n"


def insert_after_last(path, pattern, line):
    lines = path.read_text().splitlines(keepends=True)
    last = max(number for number, text in enumerate(lines) if re.match(pattern, text))
    lines.insert(last + 1, line + "\n")
    path.write_text("".join(lines))


def main():
    if len(sys.argv) != 2 or not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", sys.argv[1]):
        sys.exit("usage: ./dev new-module NAME (lower case letters, digits, single hyphens)")
    name = sys.argv[1]
    folder = TOP / "modules" / name
    if folder.exists():
        sys.exit(f"modules/{name} exists already")

    identifier = name.replace("-", "_")
    files = {
        f"{name}.c": "/* SPDX-License-Identifier: BSD-2-Clause */\n" + fill("module.c", name),
        f"{name}.conf": fill("module.conf", name).replace(f"module ./{name}.so;", f"module {name};"),
        f"{name}.md": manual(name),
        "local.mk": LOCAL_MK.format(name=name, id=identifier, upper=identifier.upper()),
    }
    folder.mkdir()
    for file_name, text in files.items():
        (folder / file_name).write_text(text)
    option = f"WEIR_MODULE_OPTION([{name}], [yes], [say what it does])"
    insert_after_last(TOP / "configure.ac", r"WEIR_MODULE_OPTION\(", option)
    insert_after_last(TOP / "Makefile.am", r"include modules/", f"include modules/{name}/local.mk")
    print(f"modules/{name} is there and in the build; next: write modules/{name}/{name}.c, then ./dev build")


if __name__ == "__main__":
    main()
