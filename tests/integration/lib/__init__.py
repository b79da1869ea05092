# SPDX-License-Identifier: BSD-2-Clause
"""What the integration tests are written with: the daemon, clients and origins that show every byte, certificates."""
