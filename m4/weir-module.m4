# SPDX-License-Identifier: BSD-2-Clause
# WEIR_MODULE_OPTION(NAME, DEFAULT, SUMMARY, [PKG-CONFIG MODULES])
#
# One line in configure.ac makes one module: --with-module-NAME=yes|no|auto, the automake conditional MODULE_NAME,
# MODULE_NAME_CFLAGS and MODULE_NAME_LIBS from pkg-config, and its line in configure's closing summary.
# "auto" leaves the module out when a library is missing; "yes" makes that an error.
# In NAME, - becomes _ and letters upper case: access-log gives MODULE_ACCESS_LOG.

AC_DEFUN([WEIR_MODULE_OPTION],
[m4_pushdef([weir_id], m4_toupper(m4_translit([$1], [-], [_])))dnl
AC_ARG_WITH([module-$1],
    [AS_HELP_STRING([--with-module-$1], [$3: yes, no or auto @<:@$2@:>@])],
    [weir_want=$withval], [weir_want=$2])
AS_CASE([$weir_want], [yes|no|auto], [], [AC_MSG_ERROR([--with-module-$1 takes yes, no or auto])])
weir_have=$weir_want
m4_ifval([$4],
[AS_IF([test "$weir_want" != no],
    [PKG_CHECK_MODULES([MODULE_]weir_id, [$4], [weir_have=yes],
        [AS_IF([test "$weir_want" = yes],
            [AC_MSG_ERROR([module $1 needs $4 (or configure --without-module-$1)])])
         weir_have="no ($4 not found)"])])],
[AS_IF([test "$weir_want" = auto], [weir_have=yes])])
AM_CONDITIONAL([MODULE_]weir_id, [test "$weir_have" = yes])
AS_VAR_APPEND([weir_modules], ["
              $1: $weir_have"])
m4_popdef([weir_id])dnl
])

AC_DEFUN([WEIR_MODULE_SUMMARY], [AS_ECHO(["  modules     $weir_modules"])])
