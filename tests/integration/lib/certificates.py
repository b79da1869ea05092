# SPDX-License-Identifier: BSD-2-Clause
"""Certificates made by openssl for one run: a CA with server certificates (ECDSA and RSA) and one for a client.

Each is NAME.crt and NAME.key in the folder; ca.crt is what clients trust."""

import ssl

from lib.program import openssl


def make(*args):
    done = openssl(*args)
    assert done.returncode == 0, done.stderr.decode()


class Certificates:
    def __init__(self, folder):
        self.folder = folder
        self.authority("ca")
        self.authority("other-ca")
        self.issue("a", "a.test", names=["a.test"])
        self.issue("a-rsa", "a.test", names=["a.test"], kind="rsa")
        self.issue("b", "b.test", names=["b.test", "*.b.test"])
        self.issue("origin", "origin", names=["localhost"], addresses=["127.0.0.1"])
        self.issue("stranger", "stranger", names=["stranger.test"])
        self.issue("alice", "alice", client=True)
        self.issue("mallory", "mallory", client=True, by="other-ca")

    def path(self, name):
        return str(self.folder / name)

    def key(self, name, kind="ecdsa"):
        how = ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if kind == "rsa" else \
            ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        make("genpkey", "-algorithm", *how, "-out", self.path(f"{name}.key"))

    def authority(self, name):
        self.key(name)
        make("req", "-x509", "-new", "-key", self.path(f"{name}.key"), "-subj", f"/O=Weir tests/CN={name}",
             "-days", "30", "-addext", "basicConstraints=critical,CA:TRUE",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign",
             "-out", self.path(f"{name}.crt"))

    def issue(self, name, subject, names=(), addresses=(), kind="ecdsa", client=False, by="ca"):
        self.key(name, kind)
        alternatives = [f"DNS:{one}" for one in names] + [f"IP:{one}" for one in addresses]
        extensions = ["basicConstraints=critical,CA:FALSE",
                      f"extendedKeyUsage={'clientAuth' if client else 'serverAuth'}"]
        if alternatives:
            extensions.append("subjectAltName=" + ",".join(alternatives))
        (self.folder / f"{name}.ext").write_text("\n".join(extensions) + "\n")
        make("req", "-new", "-key", self.path(f"{name}.key"), "-subj", f"/O=Weir tests/CN={subject}",
             "-out", self.path(f"{name}.csr"))
        make("x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.path(f"{by}.crt"),
             "-CAkey", self.path(f"{by}.key"), "-CAcreateserial", "-days", "30", "-extfile", self.path(f"{name}.ext"),
             "-out", self.path(f"{name}.crt"))

    def __getitem__(self, name):
        """"CERT KEY", as tls_certificate wants it."""
        return f"{self.path(name + '.crt')} {self.path(name + '.key')}"

    def client(self, trust="ca", certificate=None, versions=None, ciphers=None, alpn=None):
        """A context of a client that verifies."""
        context = ssl.create_default_context(cafile=trust if "/" in trust else self.path(f"{trust}.crt"))
        if certificate:
            context.load_cert_chain(self.path(f"{certificate}.crt"), self.path(f"{certificate}.key"))
        if versions:
            context.minimum_version, context.maximum_version = versions
        if ciphers:
            context.set_ciphers(ciphers)
        if alpn:
            context.set_alpn_protocols(alpn)
        return context

    def server(self, name):
        """A context of an origin."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(f"{name}.crt"), self.path(f"{name}.key"))
        return context
