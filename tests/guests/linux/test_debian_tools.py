"""Tools of Debian as they are: git, databases, archives, cryptography, builders, editors."""

from __future__ import annotations

import shutil
import subprocess
from base64 import b64decode
from pathlib import Path

import pytest

from tests.support.installed import Row, same_as_on_linux

pytestmark = pytest.mark.slow

KEY = b64decode(
    "mDMEXgvhABYJKwYBBAHaRw8BAQdAMWo9egKCgQO64yIT2dJhCpxIc2kwgVGpYiqoTJ67stC0EmxpbXBldEBleGFt"
    "cGxlLm9yZ4iQBBMWCAA4FiEEMwTKsWOn4HDTlv8JctzNT2YH7yUFAl4L4QACGwMFCwkIBwIGFQoJCAsCBBYCAwEC"
    "HgECF4AACgkQctzNT2YH7yUP5AEAoX8+KtHn6OLqxyD0SCjR9bTY6bYvk8xgKy9Sgp+T6bQA/0x+EGELLHWllhg5"
    "mBOe6qoIkMDgM3sIJvvOToXgb6cF"
)
"""A key that was made for this, and what it signed."""

SIGNATURE = b64decode(
    "iHUEABYIAB0WIQQzBMqxY6fgcNOW/wly3M1PZgfvJQUCXg0ygAAKCRBy3M1PZgfvJX3zAQDMF6TIQkyhL7B/Ej5l"
    "YX3AQf8OjZZcU8v8WeBV4g4DTwD/df7sI/2Vn5CNuFOrvB3VHsrEcwQ90Sh9YZZsBli+Zww="
)

ENCRYPTED = b64decode(
    "jA0ECQMC4kFcTwM3T4H/0j4Bmt9OrPtRP29anzxl8kTle3XVyIaVWgWPLjHulIOk/IYornCDIk7ILlWTq41RHMTW"
    "zZnpNj+2iuOWm+1RSw=="
)
"""``MESSAGE`` with the passphrase "word"."""

MESSAGE = b"message\n"
LINES = b"".join(b"line %d\n" % number for number in range(30000))
AUTHOR = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
DATES = {f"GIT_{who}_DATE": "2020-01-01T00:00:00Z" for who in ("AUTHOR", "COMMITTER")}


def _repository(here: Path) -> None:
    """Three commits, packed, and a change that is in none."""
    folder, text = here / "repository", here / "repository" / "text"
    folder.mkdir()

    def git(*words: str) -> None:
        environment = {**AUTHOR, **DATES, "HOME": str(here), "PATH": "/usr/bin:/bin"}
        subprocess.run(["git", *words], cwd=folder, env=environment, check=True)

    git("init", "-q", "-b", "main")
    for number in range(3):
        text.write_text("".join(f"{line * (line % 3 == number)}\n" for line in range(40)))
        git("add", "text")
        git("commit", "-q", "-m", f"commit {number}")
    git("gc", "-q")
    assert list(folder.glob(".git/objects/pack/*.pack"))
    shutil.rmtree(folder / ".git" / "hooks", ignore_errors=True)
    text.write_text("all of it\n")


GIT = ("git", "--no-pager", "-c", "safe.directory=*", "-C", "{here}/repository")
GPG = ("gpg", "--homedir", "{here}", "--batch")
WAL = b"""pragma journal_mode=wal;
create table t(a integer primary key, b text);
with recursive c(x) as (select 1 union all select x + 1 from c where x < 500)
insert into t select x, 'row ' || x from c;
begin; update t set b = b || '!' where a % 7 = 0; commit;
pragma wal_checkpoint;
create index i on t(b);
select count(*), sum(a), max(b) from t;
pragma integrity_check;
"""
MAKEFILE = b"""all: a b
a: c
\techo $@ $^ $(words one two)
b:
\techo $(sort z y x)
c: ; touch c
"""
NINJA = b"""rule copy
  command = cp $in $out
build a: copy b
build b: copy c
"""
PROTO = (
    b'syntax = "proto3"; message M { int32 a = 1; repeated string b = 2; map<string, M> c = 3; }\n'
)
STYLE = b"""<x:stylesheet version="1.0" xmlns:x="http://www.w3.org/1999/XSL/Transform">
<x:template match="/"><r><x:value-of select="sum(//n)"/></r></x:template></x:stylesheet>
"""
EDITS = ("%s/o/0/g", "g/^f/d", "sort", "%p", "q!")

ROWS = {
    "sqlite3 in WAL mode": Row("sqlite3", ["sqlite3", "-batch", "{here}/base"], WAL),
    "git log": Row("git", [*GIT, "log", "--stat", "-p"], prepare=_repository),
    "git diff": Row("git", [*GIT, "diff", "--word-diff"], prepare=_repository, large=True),
    "gpg --version": Row("gpg", [*GPG, "--version"], large=True),
    "gpg --list-packets": Row("gpg", [*GPG, "--list-packets", "{here}/k"], files={"k": KEY}),
    "gpg --decrypt": Row(
        "gpg",
        [*GPG, "--pinentry-mode", "loopback", "--passphrase", "word", "--decrypt", "{here}/e"],
        files={"e": ENCRYPTED},
        large=True,
    ),
    "gpgv": Row(
        "gpgv",
        ["gpgv", "--status-fd", "1", "--keyring", "{here}/k", "{here}/s", "{here}/m"],
        files={"k": KEY, "s": SIGNATURE, "m": MESSAGE},
        large=True,
    ),
    "zstd -T4": Row("zstd", ["zstd", "-T4", "-c", "-3", "-B65536"], LINES),
    "vim -es": Row(
        "vim-tiny",
        ["vim.tiny", "-u", "NONE", "-i", "NONE", "-n", "-es"]
        + [word for edit in EDITS for word in ("-c", edit)]
        + ["{here}/text"],
        files={"text": b"hello world\nfoo\nabc o\n"},
    ),
    "make -n": Row(
        "make", ["make", "-n", "-f", "{here}/Makefile"], files={"Makefile": MAKEFILE}, large=True
    ),
    "ninja -n": Row(
        "ninja-build",
        ["ninja", "-n", "-v", "-C", "{here}"],
        files={"build.ninja": NINJA, "c": b""},
        large=True,
    ),
    "xmllint": Row(
        "libxml2-utils",
        ["xmllint", "--format", "--xpath", "//b/text()", "-"],
        b"<a><b>x</b><b>y &amp; z</b></a>",
    ),
    "xsltproc": Row(
        "xsltproc",
        ["xsltproc", "{here}/style", "{here}/data"],
        files={"style": STYLE, "data": b"<a><n>1</n><n>2.5</n></a>"},
        large=True,
    ),
    "protoc": Row(
        "protobuf-compiler",
        ["protoc", "--proto_path={here}", "--encode=M", "{here}/m.proto"],
        b'a: 7 b: "x" c { key: "k" value { a: -1 } }',
        files={"m.proto": PROTO},
        large=True,
    ),
    "objdump": Row(
        "binutils", ["objdump", "-d", "/usr/bin/true"], include=["/usr/bin/true"], large=True
    ),
    "iconv": Row(
        "libc-bin",
        ["iconv", "-f", "UTF-8", "-t", "ISO-8859-15"],
        "é€\n".encode(),
        include=["/usr/lib/x86_64-linux-gnu/gconv"],
    ),
    "date in a locale and a time zone": Row(
        "tzdata",
        ["date", "-d", "@1700000000", "+%c %Z"],
        include=["/usr/share/zoneinfo/Europe/Berlin", "/usr/lib/locale/C.utf8"],
        environment=["TZ=Europe/Berlin", "LC_ALL=C.UTF-8"],
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_as_on_linux(name: str, tmp_path: Path) -> None:
    """The same output and status, natively and on each backend."""
    same_as_on_linux(ROWS[name], tmp_path)
