# SPDX-License-Identifier: BSD-2-Clause
if !WEIR_FUZZ
TESTS += tests/config/run.py
endif
tests/config/run.log: weir modules/so/.stamp

EXTRA_DIST += tests/config
