# SPDX-License-Identifier: BSD-2-Clause
# main.c is the program's own source (Makefile.am); everything else of these folders is in the archive.
include server/app/house/local.mk
include server/app/process/local.mk
include server/app/control/local.mk
include server/app/cli/local.mk
