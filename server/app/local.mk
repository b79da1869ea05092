# SPDX-License-Identifier: BSD-2-Clause
# main.c is the program's own source (Makefile.am); everything else of this folder is in the archive.
server_libweir_a_SOURCES +=
