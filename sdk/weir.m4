# SPDX-License-Identifier: BSD-2-Clause
# WEIR_MODULE_SDK([VERSION])
#
# For modules of the weir reverse proxy that build with autotools: finds weir-module with pkg-config and sets
# WEIR_MODULE_CFLAGS, WEIR_MODULE_LDFLAGS (for libtool) and WEIR_MODULE_DIR, where weir looks for modules.

AC_DEFUN([WEIR_MODULE_SDK],
[PKG_CHECK_MODULES([WEIR_MODULE], [weir-module m4_ifval([$1], [>= $1])])
PKG_CHECK_VAR([WEIR_MODULE_DIR], [weir-module], [moduledir])
WEIR_MODULE_LDFLAGS="-module -avoid-version -shared -Wl,-z,defs"
AC_SUBST([WEIR_MODULE_LDFLAGS])
])
