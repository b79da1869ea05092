#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Runs one test program and prints clean TAP: several cmocka groups become one numbered list, cmocka's "not ok # SKIP"
# becomes a skip, and a program that dies is one failed case instead of a lost rest.
set -u
status_file=$(mktemp) || exit 1
trap 'rm -f "$status_file"' EXIT

name=$(basename "$1")
{ CMOCKA_MESSAGE_OUTPUT=TAP "$@" 2>&1; echo $? > "$status_file"; } |
awk -v name="$name" -v status_file="$status_file" '
    /^1\.\.[0-9]+/ { next }
    /^(not )?ok( |$)/ {
        bad = /^not ok/ && !/# *SKIP/
        sub(/^(not )?ok *[0-9]* *(- *)?/, "")
        print (bad ? "not ok " : "ok ") ++count " - " $0
        failed += bad
        fflush()
        next
    }
    { print; fflush() }
    END {
        getline status < status_file
        if (status == 77 && count == 0) { print "1..0 # SKIP " name; exit }
        if (status != 0 && !failed)
            print "not ok " ++count " - " name " ended with status " status
        if (count == 0)
            print "not ok " ++count " - " name " ran no test"
        print "1.." count
    }'
