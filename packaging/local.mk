# SPDX-License-Identifier: BSD-2-Clause
EXTRA_DIST += packaging/systemd packaging/debian packaging/rpm packaging/container packaging/weir.logrotate
