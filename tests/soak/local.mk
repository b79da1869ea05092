# SPDX-License-Identifier: BSD-2-Clause
# Traffic of all kinds for as long as one likes: ./dev soak [MINUTES].
EXTRA_DIST += tests/soak
