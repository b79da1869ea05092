# SPDX-License-Identifier: BSD-2-Clause
# Unit tests (cmocka) and corpus replays link the server's archive. A test of several sources sets its own _SOURCES.

UNIT_TESTS =
LDADD = $(TEST_MAIN) server/libweir.a $(SERVER_LIBS) $(CMOCKA_LIBS)

include tests/unit/base/local.mk
include tests/unit/loop/local.mk
include tests/unit/net/local.mk
include tests/unit/http/local.mk
include tests/unit/config/local.mk
include tests/unit/pipeline/local.mk
include tests/unit/upstream/local.mk
include tests/unit/engine/local.mk
include tests/unit/app/local.mk
include tests/unit/modules/local.mk

if !WEIR_FUZZ
if HAVE_CMOCKA
check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)
else
TESTS += tests/unit/absent.sh
endif
endif

EXTRA_DIST += tests/unit/tap.sh tests/unit/absent.sh
