#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The program exports nothing; a module exports weir_module alone and asks the host for no symbol.
set -u
count=0

verdict() { # WHAT UNEXPECTED
    count=$((count + 1))
    if [ -z "$2" ]; then
        echo "ok $count - $1"
    else
        echo "$2" | sed 's/^/# /'
        echo "not ok $count - $1"
    fi
}

command -v nm >/dev/null || { echo "1..0 # SKIP nm (binutils) is not installed"; exit 0; }

# A sanitizer and the C start-up leave their own names; ours all begin with weir_ or are lower-case words of the server.
foreign='^(_|__|environ$|stdin$|stdout$|stderr$|optarg$|optind$|opterr$|optopt$|program_invocation)'
verdict "weir exports nothing" \
    "$(nm -D --defined-only "$WEIR_BIN" | awk '{ print $NF }' | sed 's/@.*//' | grep -Ev "$foreign")"

for module in "$WEIR_MODULES"/*.so; do
    [ -e "$module" ] || continue
    name=$(basename "$module")
    verdict "$name exports weir_module alone" \
        "$(nm -D --defined-only "$module" | awk '{ print $NF }' | sed 's/@.*//' | grep -Ev '^(weir_module$|__)')"
    verdict "$name asks the host for no symbol" \
        "$(nm -D --undefined-only "$module" | awk '{ print $NF }' | grep '^weir_')"
done
echo "1..$count"
