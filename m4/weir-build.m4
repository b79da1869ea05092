# SPDX-License-Identifier: BSD-2-Clause
# WEIR_BUILD_KIND: --enable-sanitizers, --enable-tsan, --enable-fuzz, --enable-werror, --disable-lto and hardening.
#
# Gives WEIR_CFLAGS, WEIR_CPPFLAGS, WEIR_LDFLAGS (for everything that is compiled), LTO_CFLAGS and LTO_LDFLAGS (of the
# server), NO_LTO_LDFLAGS (of tests), WEIR_MODULE_DEFS (refuse undefined symbols in a module, where the linker can) and
# the conditional WEIR_FUZZ.

AC_DEFUN([WEIR_BUILD_KIND],
[AC_ARG_ENABLE([sanitizers], [AS_HELP_STRING([--enable-sanitizers], [debug build with ASan and UBSan])])
AC_ARG_ENABLE([tsan], [AS_HELP_STRING([--enable-tsan], [debug build with ThreadSanitizer])])
AC_ARG_ENABLE([fuzz], [AS_HELP_STRING([--enable-fuzz], [build tests/fuzz for libFuzzer (needs CC=clang)])])
AC_ARG_ENABLE([lto], [AS_HELP_STRING([--disable-lto], [do not optimise the server as a whole])])
AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [warnings are errors])])

weir_build_kind=release
WEIR_CFLAGS=
WEIR_CPPFLAGS=
WEIR_LDFLAGS=
AS_IF([test "$enable_sanitizers" = yes], [weir_build_kind="ASan and UBSan"
    weir_sanitize=-fsanitize=address,undefined])
AS_IF([test "$enable_fuzz" = yes], [weir_build_kind="libFuzzer, ASan and UBSan"
    weir_sanitize=-fsanitize=fuzzer-no-link,address,undefined])
AS_IF([test "$enable_tsan" = yes], [
    AS_IF([test -n "$weir_sanitize"], [AC_MSG_ERROR([--enable-tsan does not go with the other sanitizers])])
    weir_build_kind=TSan
    weir_sanitize=-fsanitize=thread])

AS_IF([test -n "$weir_sanitize"], [
    AS_IF([test "$weir_user_cflags" != set], [CFLAGS="-g -O1"])
    WEIR_CFLAGS="$weir_sanitize -fno-omit-frame-pointer"
    WEIR_LDFLAGS="$weir_sanitize"
    AS_IF([test "$enable_tsan" != yes], [
        AS_VAR_APPEND([WEIR_CFLAGS], [" -fno-sanitize-recover=undefined"])
        WEIR_CPPFLAGS=-DWEIR_SANITIZED])
    AC_MSG_CHECKING([whether $CC links with $weir_sanitize])
    weir_save_cflags=$CFLAGS
    CFLAGS="$CFLAGS $WEIR_CFLAGS"
    AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes])],
        [AC_MSG_RESULT([no])
         AC_MSG_ERROR([$CC cannot link with $weir_sanitize])])
    CFLAGS=$weir_save_cflags
], [
    AS_CASE([" $CFLAGS "], [*" -O"@<:@123s@:>@*], [WEIR_CPPFLAGS="-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"])
    WEIR_CFLAGS=-fstack-protector-strong
])

# The objects also hold ordinary code: tests are linked from that, as --wrap does not reach into what LTO has inlined.
LTO_CFLAGS=
LTO_LDFLAGS=
NO_LTO_LDFLAGS=
AS_IF([test -z "$weir_sanitize" && test "$enable_lto" != no], [
    weir_lto="-flto=auto -ffat-lto-objects"
    AC_MSG_CHECKING([whether $CC supports $weir_lto])
    weir_save_cflags=$CFLAGS
    CFLAGS="$CFLAGS $weir_lto -Werror"
    AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes])
         LTO_CFLAGS=$weir_lto
         LTO_LDFLAGS=-flto=auto
         NO_LTO_LDFLAGS=-fno-lto
         weir_build_kind="release, LTO"],
        [AC_MSG_RESULT([no])
         AS_IF([test "$enable_lto" = yes], [AC_MSG_ERROR([$CC cannot link with $weir_lto])])])
    CFLAGS=$weir_save_cflags
])
AS_IF([test "$enable_werror" = yes], [AS_VAR_APPEND([WEIR_CFLAGS], [" -Werror"])])

# clang links its sanitizer runtime into programs only, so a sanitized module has undefined symbols by design.
WEIR_MODULE_DEFS=-Wl,-z,defs
AC_MSG_CHECKING([whether $CC is clang])
AC_COMPILE_IFELSE([AC_LANG_SOURCE([[
#ifndef __clang__
#error not clang
#endif
]])], [weir_clang=yes], [weir_clang=no])
AC_MSG_RESULT([$weir_clang])
AS_IF([test "$weir_clang" = yes && test -n "$weir_sanitize"], [WEIR_MODULE_DEFS=])
AS_IF([test "$enable_fuzz" = yes && test "$weir_clang" = no], [AC_MSG_ERROR([--enable-fuzz needs CC=clang])])

AM_CONDITIONAL([WEIR_FUZZ], [test "$enable_fuzz" = yes])
AC_SUBST([WEIR_CFLAGS])
AC_SUBST([WEIR_CPPFLAGS])
AC_SUBST([WEIR_LDFLAGS])
AC_SUBST([LTO_CFLAGS])
AC_SUBST([LTO_LDFLAGS])
AC_SUBST([NO_LTO_LDFLAGS])
AC_SUBST([WEIR_MODULE_DEFS])
AC_SUBST([WEIR_FUZZ_MAIN], [-fsanitize=fuzzer])
])
