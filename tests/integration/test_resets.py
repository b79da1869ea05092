# SPDX-License-Identifier: BSD-2-Clause
"""Clients that reset their connection at once behind what they send: an RST that comes with the last data has no edge
of its own."""

import pytest

from lib.patience import eventually

UPLOAD = b"PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_nothing_is_kept_of_clients_that_reset(weir, answering, certificates, secure):
    """Long before any timeout."""
    one = weir(f"timeout header=60s body=60s; tls_certificate {certificates['a']}; https_redirect off;"
               f"site a.test {{ proxy {answering().url}; }}", modules=["tls"])
    context = certificates.client()
    for at in [*range(1, 60, 4), *range(60, len(UPLOAD), 150)]:
        client = one.connect_tls(context) if secure else one.connect()
        client.send(UPLOAD[:at])
        client.reset()
    eventually(lambda: one.status()["connections"] == 0, "all are over", patience=10)
