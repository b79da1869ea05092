# SPDX-License-Identifier: BSD-2-Clause
"""Loopback ports that nobody uses: below the range from which the kernel takes those of outgoing connections."""

import itertools
import os
import socket

FIRST, LAST = 18000, 31000
_ports = itertools.cycle(range(FIRST + os.getpid() * 97 % (LAST - FIRST), LAST))


def is_free(port):
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def free_port():
    """A port number given out once in this run."""
    return next(port for port in _ports if is_free(port))
