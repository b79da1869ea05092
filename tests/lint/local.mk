# SPDX-License-Identifier: BSD-2-Clause
if !WEIR_FUZZ
TESTS += tests/lint/lint.py tests/lint/symbols.sh
check_DATA += tests/lint/distfiles
endif
tests/lint/symbols.log: weir modules/so/.stamp

# What make dist would pack, for lint.py to compare with what git tracks.
tests/lint/distfiles: Makefile
	@$(MKDIR_P) tests/lint
	@for f in $(DISTFILES); do echo $$f; done > $@

CLEANFILES += tests/lint/distfiles
EXTRA_DIST += tests/lint/lint.py tests/lint/symbols.sh
