# SPDX-License-Identifier: BSD-2-Clause
dist_man_MANS = docs/man/weir.8 docs/man/weir.conf.5
EXTRA_DIST += docs/map.md docs/testing.md docs/writing-a-module.md docs/design
