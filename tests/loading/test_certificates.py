"""The certificates of the host: what may connect and names them has them."""

from __future__ import annotations

from pathlib import Path

import pytest

import limpet
from limpet.cli.job import Job, Packing
from limpet.loading import certificates
from limpet.tools.cache import Cache
from limpet.tools.progress import silent
from tests.support.bundles import Maker, execute, need

PYTHON = Path("/usr/bin/python3")
STORE = Path("/etc/ssl/certs/ca-certificates.crt")
OPTIONS = limpet.Options(backends=("process",), connect=("192.0.2.1:443",))

PROGRAM = r"""
#include <stdio.h>
#include <sys/socket.h>
int main(int count, char **words) {
    if (count > 1)
        return connect(0, (void *)words[1], 16);
    FILE *file = fopen("PATH", "r");
    char line[64] = "none";
    if (file)
        fgets(line, sizeof line, file);
    puts(line);
    return 0;
}
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that a test may change, as a link leads to it."""
    (tmp_path / "real.pem").write_text("one")
    (tmp_path / "cert.pem").symlink_to("real.pem")
    monkeypatch.setattr(certificates, "PATHS", (str(tmp_path / "cert.pem"),))
    return tmp_path / "real.pem"


def _sizes(
    program: Path, options: limpet.Options = OPTIONS, files: dict[str, Path] | None = None
) -> dict[str, int]:
    """The files of its tree, by their path."""
    plan = Job.given(program, options, Packing(files=files or {})).plan(silent)
    return {each.path: each.size for each in plan.guest.tree.entries if each.size}


def test_in_use(make: Maker, store: Path, tmp_path: Path) -> None:
    """A bundle has those of the moment; another is made when the host has others."""
    program = make.compile(PROGRAM.replace("PATH", str(tmp_path / "cert.pem")), "trusts")
    cache = Cache.default()
    for text in ("one", "others"):
        store.write_text(text)
        for _ in range(2):
            with Job.given(program, OPTIONS).bundle(cache) as made:
                assert execute(["trusts"], made.path).stdout == f"{text}\n".encode()


def test_whom_it_is_for(make: Maker, store: Path, tmp_path: Path) -> None:
    """Not who may not connect, or names none; nor what only some may read, or was given."""
    path = str(tmp_path / "cert.pem")
    program = make.compile(PROGRAM.replace("PATH", path), "trusts")
    assert _sizes(program)[str(store)] == len("one")
    assert not _sizes(program, limpet.Options(backends=("process",)))
    assert not _sizes(make.compile(PROGRAM, "trusts"))
    other = tmp_path / "other"
    other.write_text("the user's")
    assert _sizes(program, files={path: other}) == {path: len("the user's")}
    plan = Job.given(program, OPTIONS, Packing(files={path: other})).plan(silent)
    assert not any("host trusts" in each for each in plan.guest.why)
    store.chmod(0o640)
    assert not _sizes(program)
    store.unlink()
    assert not _sizes(program)


def test_of_a_dynamic_program() -> None:
    """Python has them where its OpenSSL looks."""
    need(STORE, "ca-certificates")
    plan = Job.given(need(PYTHON, "python3"), OPTIONS).plan(silent)
    assert {"/usr/lib/ssl/cert.pem", str(STORE)} <= {each.path for each in plan.guest.tree.entries}
    assert any("host trusts" in each and "libcrypto" in each for each in plan.guest.why)
