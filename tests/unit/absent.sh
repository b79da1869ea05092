#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Stands in for the unit tests where configure found no cmocka.
echo "1..0 # SKIP unit tests: cmocka is not installed (./dev setup test), then configure again"
