# SPDX-License-Identifier: BSD-2-Clause
if MODULE_AUTH
module_LTLIBRARIES += modules/auth/auth.la
endif
modules_auth_auth_la_SOURCES = modules/auth/auth.c modules/auth/auth.h modules/auth/apr1.c modules/auth/basic.c \
	modules/auth/cert.c modules/auth/claims.c modules/auth/claims.h modules/auth/forward.c \
	modules/auth/htpasswd.c modules/auth/htpasswd.h modules/auth/jwk.c modules/auth/jwk.h modules/auth/jws.c \
	modules/auth/jws.h modules/auth/jwt.c modules/auth/pattern.c modules/auth/pattern.h \
	modules/auth/watched.c modules/auth/watched.h
modules_auth_auth_la_CPPFLAGS = $(MODULE_CPPFLAGS) $(MODULE_AUTH_CFLAGS)
modules_auth_auth_la_CFLAGS = $(MODULE_CFLAGS)
modules_auth_auth_la_LDFLAGS = $(MODULE_LDFLAGS)
modules_auth_auth_la_LIBADD = $(MODULE_AUTH_LIBS)

if MODULE_AUTH
if HAVE_CMOCKA
if !WEIR_FUZZ
check_PROGRAMS += modules/auth/test_auth modules/auth/test_jwt
TESTS += modules/auth/test_auth modules/auth/test_jwt
endif
endif
endif
modules_auth_test_auth_SOURCES = modules/auth/test_auth.c
modules_auth_test_auth_CPPFLAGS = $(MODULE_TEST_CPPFLAGS)
modules_auth_test_auth_LDADD = $(MODULE_TEST_LDADD)
modules_auth_test_jwt_SOURCES = modules/auth/test_jwt.c modules/auth/claims.c modules/auth/claims.h \
	modules/auth/jwk.c modules/auth/jwk.h modules/auth/jws.c modules/auth/jws.h modules/auth/pattern.c \
	modules/auth/pattern.h modules/auth/watched.c modules/auth/watched.h
modules_auth_test_jwt_CPPFLAGS = $(MODULE_TEST_CPPFLAGS) $(MODULE_AUTH_CFLAGS)
modules_auth_test_jwt_LDADD = $(MODULE_TEST_LDADD) $(MODULE_AUTH_LIBS)

EXTRA_DIST += modules/auth/auth.md modules/auth/auth.conf modules/auth/fixtures
