#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Makes configure and Makefile.in from a checkout; a release tarball has them already.
set -eu
cd "$(dirname "$0")"
exec autoreconf -fi
