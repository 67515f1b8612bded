"""Every option of a socket that a guest serves, beside the kernel: told, kept, and refused."""

from __future__ import annotations

from limpet.contract import Backend
from tests.support import SUPPORT
from tests.support.bundles import Maker, execute

ENOPROTOOPT, EOPNOTSUPP = "e92", "e95"
SIZES = "SOCKET 7", "SOCKET 8", "SOCKET 18"
"""SO_SNDBUF, SO_RCVBUF and SO_RCVLOWAT: what is most of each is the host's to say."""
OWN = "SOCKET 42", "TCP 11", "TCP 13"
"""SO_PEEK_OFF, which cannot be set; what TCP_INFO tells but the state; and the name of what
decides about congestion."""


def test_what_is_served(make: Maker, backend: Backend) -> None:
    """A table of four kinds of sockets, five levels, and all names of each, with ten calls."""
    source = (SUPPORT / "programs" / "options.c").read_text(encoding="utf-8")
    program = make.compile(source, "options")
    native = execute(["options"], program).stdout.decode().splitlines()
    ran = make(program, backend).run()
    assert (ran.status, ran.stderr) == (0, b"")
    served, other = 0, []
    for linux, own in zip(native, ran.stdout.decode().splitlines(), strict=True):
        name, answers = own.split(": ", 1)
        if answers.split()[0] in (ENOPROTOOPT, EOPNOTSUPP):
            continue
        served += 1
        pairs = zip(linux.split(" | "), own.split(" | "), strict=True)
        wrong = [each for each in pairs if each[0] != each[1]]
        if name.endswith(SIZES):
            wrong = [each for each in wrong if not each[0].startswith("-1 ")]
        if wrong and not name.endswith(OWN):
            other.append((name, wrong))
    assert not other
    assert served > 180
