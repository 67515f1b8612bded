"""Where a debugger connects: a port, a socket in the file system, or standard input and output.

Nobody is asked who he is.  A port is one of 127.0.0.1 unless another address is given, and can be
reached by everyone on this host; a socket is its maker's alone.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import RunError

DEFAULT = "127.0.0.1:1234"
STANDARD = "-"
"""Standard input and output: for gdb's ``target remote | COMMAND``."""

_PORT = re.compile(r"(?:\[([0-9A-Fa-f:]+)\]|([^/:\[\]]*)):(\d{1,5})")
_PATH_MOST = 107  # bytes of struct sockaddr_un


@dataclass(frozen=True)
class Port:
    """An address of this host, and a port of it; 0 for any that is free."""

    host: str
    port: int


@dataclass(frozen=True)
class Standard:
    """Standard input and output."""


Place = Port | Path | Standard


def place(text: str) -> Place:
    """What ``HOST:PORT``, ``:PORT``, ``PATH`` or ``-`` means.

    Raises:
        ValueError: none of these.
    """
    if text == STANDARD:
        return Standard()
    found = _PORT.fullmatch(text)
    if not found:
        if ("/" not in text and ":" in text) or not text or len(os.fsencode(text)) > _PATH_MOST:
            raise ValueError(
                f"{text!r} is not HOST:PORT, the path of a socket of at most {_PATH_MOST} bytes, "
                f"or {STANDARD}"
            )
        return Path(text)
    if int(found[3]) > 0xFFFF:
        raise ValueError(f"{text!r}: there is no port {found[3]}")
    return Port(found[1] or found[2] or "127.0.0.1", int(found[3]))


@contextmanager
def listening(at: Port | Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket that a debugger can connect to, and what gdb calls it.

    Raises:
        RunError: there can be none.
    """
    made = _of_path(at) if isinstance(at, Path) else _of_port(at)
    try:
        made.listen(1)
        made.setblocking(False)
        yield made, str(at) if isinstance(at, Path) else _named(made)
    finally:
        made.close()
        if isinstance(at, Path):
            with suppress(OSError):
                at.unlink()


def _named(made: socket.socket) -> str:
    host, port = made.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _of_path(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # nobody else may connect, from the first moment on
    try:
        made.bind(str(path))
    except OSError as error:
        made.close()
        raise RunError(
            f"{path}: no socket can be there: {error.strerror}",
            hint="give a path where nothing is",
        ) from None
    finally:
        os.umask(before)
    return made


def _of_port(at: Port) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            at.host, at.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError):
        raise RunError(
            f"{at.host}:{at.port}: no such address", hint="give HOST:PORT of this host"
        ) from None
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError as error:
        made.close()
        raise RunError(
            f"{at.host}:{at.port}: cannot be listened at: {error.strerror}",
            hint="give another port, or 0 for any",
        ) from None
    return made
