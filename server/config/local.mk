# SPDX-License-Identifier: BSD-2-Clause
server_libweir_a_SOURCES +=
