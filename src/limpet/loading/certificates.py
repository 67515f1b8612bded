"""The certificates that the host trusts, for a guest that may connect and names them.

A program that speaks TLS looks for them at a path that is compiled into it, or into a library of
it.  They are the same for everybody on the host and no secret, so a guest whose connections lead
out has them where it looks; without them no server can show who it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from limpet.loading.layers import Layers
from limpet.plain import quoted

PATHS = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/cert.pem",
    "/usr/lib/ssl/cert.pem",
    "/usr/local/ssl/cert.pem",
)
"""Sources: Go's ``crypto/x509/root_linux.go``; OpenSSL's ``X509_CERT_FILE``, below the folder that
a distribution chose (``openssl version -d``)."""


def trusted(layers: Layers, files: Iterable[tuple[str, bytes]]) -> list[str]:
    """Pack what ``files``, by path with their content, name of :data:`PATHS` and the host has.

    Returns:
        What to say of each.
    """
    said: dict[str, str] = {}
    for path, content in files:
        for each in PATHS:
            if each not in said and each.encode() in content and _is_there(layers, each):
                layers.put(each, each)
                said[each] = f"the certificates that this host trusts, which {quoted(path)} names"
    return [f"{each}: {what}" for each, what in said.items()]


def _is_there(layers: Layers, path: str) -> bool:
    """Whether the host has it for everybody, and nothing else was given for it."""
    there = layers.there(path) and os.path.isfile(path)
    return there and bool(os.stat(path).st_mode & 0o004) and not layers.holds(path)
