# SPDX-License-Identifier: BSD-2-Clause
# The real daemon between real clients and origins (pytest). run.sh says so when pytest is absent.

if !WEIR_FUZZ
TESTS += tests/integration/run.sh
endif
tests/integration/run.log: weir modules/so/.stamp

EXTRA_DIST += tests/integration
