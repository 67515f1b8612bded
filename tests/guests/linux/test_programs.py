"""Unmodified static programs doing real work, with output that is checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.support import programs
from tests.support.bundles import Made, Maker, execute

pytestmark = pytest.mark.slow

SHELLS = ("bash", "mksh-klibc", "mksh-musl", "zsh")
SCRIPT = """
fact() { if [ "$1" -le 1 ]; then echo 1 > /tmp/r; return; fi
  fact $(($1 - 1)); read r < /tmp/r; echo $((r * $1)) > /tmp/r; }
fact 10; read r < /tmp/r; echo "10! = $r"
for f in /data/*; do while read -r l; do echo "$f: $l"; done < "$f"; done
case $r in 36*) echo matched;; esac
cd /data && pwd
kill -0 $$ && echo alive
exit 9
"""


@pytest.mark.parametrize("shell", SHELLS)
def test_shell(
    make: Maker, backend: Backend, shell: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A script with functions, loops, files and patterns, in four shells on three libcs."""
    root = tmp_path_factory.mktemp("shell")
    (root / "data").mkdir()
    (root / "data" / "one").write_text("first line\nsecond line\n")
    (root / "data" / "two").write_text("only line\n")
    ran = make(programs.get(shell), backend, root=root).run("-c", SCRIPT)
    expected = (
        "10! = 3628800\n/data/one: first line\n/data/one: second line\n/data/two: only line\n"
        "matched\n/data\nalive\n"
    )
    assert (ran.stdout.decode(), ran.status) == (expected, 9)


LUA = """
local words = {}
for line in io.lines("/in.txt") do for w in line:gmatch("%a+") do words[#words + 1] = w end end
table.sort(words)
local f = assert(io.open("/tmp/out.txt", "w"))
f:write(table.concat(words, ","))
f:close()
for line in io.lines("/tmp/out.txt") do print(line, #words, os.getenv("HOME")) end
assert(os.rename("/tmp/out.txt", "/tmp/new.txt") and not io.open("/tmp/out.txt"))
print(string.format("%.10f", math.pi), os.time({year=2020, month=1, day=1, hour=12}) > 0)
os.exit(4)
"""


def test_lua(make: Maker, backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Lua reads packed files, writes to memory, and renames."""
    root = tmp_path_factory.mktemp("lua")
    (root / "in.txt").write_text("the quick brown fox\njumps\n")
    (root / "script.lua").write_text(LUA)
    ran = make(programs.get("lua"), backend, root=root).run("/script.lua")
    assert ran.stdout.decode() == "brown,fox,jumps,quick,the\t5\tnil\n3.1415926536\ttrue\n"
    assert ran.status == 4


SQL = """
create table t(a integer primary key, b text);
begin; insert into t(b) values ('x'), ('y'), ('z'); commit;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000)
  insert into t(b) select 'row ' || i from n;
create index i on t(b); select count(*), max(a), min(b) from t;
delete from t where a > 100; vacuum; select count(*) from t; pragma integrity_check;
"""


def test_sqlite(make: Maker, backend: Backend) -> None:
    """SQLite keeps a database with journal and index in the overlay."""
    ran = make(programs.get("sqlite"), backend).run("/tmp/a.db", SQL)
    assert ran.stdout.decode() == "2003|2003|row 1\n100\nok\n"
    assert (ran.status, ran.stderr) == (0, b"")


def test_zstd(make: Maker, backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> None:
    """zstd packs and unpacks a megabyte the way it does natively."""
    root = tmp_path_factory.mktemp("zstd")
    (root / "data").write_bytes(b"".join(str(i * i).encode() for i in range(150_000)))
    program = programs.get("zstd")
    native = execute(["zstd", "data", str(root / "out")], program, cwd=root)
    (root / "out").unlink()
    assert b"same" in native.stdout
    assert make(program, backend, root=root).run("/data", "/tmp/out").stdout == native.stdout


def test_quickjs(make: Maker, backend: Backend) -> None:
    """QuickJS evaluates, and reports an exception."""
    guest: Made = make(programs.get("quickjs"), backend)
    script = "[...Array(10).keys()].map(x=>2n**BigInt(x*20)).join(' ')+JSON.stringify({a:[1,/x/]})"
    ran = guest.run(script)
    values = " ".join(str(2 ** (20 * x)) for x in range(10))
    assert (ran.stdout.decode(), ran.status) == (values + '{"a":[1,{}]}\n', 0)
    assert guest.run("nothing.here").status == 1


DECIMAL = """
import json, re
from decimal import Decimal, localcontext
with open("/tmp/prices", "w") as out:
    out.write("tea 19.99\\ncake 80.35\\nmilk 0.01\\n")
with open("/tmp/prices") as lines:
    prices = [Decimal(re.search(r"[0-9.]+$", line.strip())[0]) for line in lines]
with localcontext() as context:
    context.prec = 40
    third = Decimal(1) / 3
print(json.dumps({"total": str(sum(prices)), "third": str(third), "lines": len(prices)}))
"""


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The standard library as a tree, with a script."""
    programs.get("python")
    tree = programs.python_tree(tmp_path_factory.mktemp("python"))
    (tree / "sums.py").write_text(DECIMAL)
    return tree


@pytest.fixture
def python(make: Maker, backend: Backend, library: Path) -> Made:
    """CPython with its library packed."""
    return make(programs.get("python"), backend, root=library, name="/usr/bin/python3.11")


def test_python_expression(python: Made) -> None:
    """``-c`` with json, re, hashing and the clock."""
    ran = python.run(
        "-c",
        "import json, re, hashlib, time, random, datetime\n"
        "print(json.dumps({'a': [1, 2.5, None]}), re.sub('b+', '-', 'abbbc'))\n"
        "print(hashlib.sha256(b'x').hexdigest()[:8], time.time() > 1.7e9, random.random() < 1)\n"
        "print(datetime.date(2024, 2, 29).isoformat(), sum(range(100000)))",
    )
    assert ran.stderr == b""
    assert ran.stdout.decode() == (
        '{"a": [1, 2.5, null]} a-c\n2d711642 True True\n2024-02-29 4999950000\n'
    )


def test_python_script(python: Made) -> None:
    """A script file with json, re and decimal that writes and reads files."""
    ran = python.run("/sums.py")
    assert (ran.status, ran.stderr) == (0, b"")
    assert json.loads(ran.stdout) == {"total": "100.35", "third": "0." + "3" * 40, "lines": 3}


def test_python_files(python: Made) -> None:
    """Files in the overlay: make, write, list, rename, remove."""
    ran = python.run(
        "-c",
        "import os, pathlib, tempfile\n"
        "d = pathlib.Path(tempfile.mkdtemp()); (d / 'a').write_text('hello'); os.mkdir(d / 'sub')\n"
        "os.rename(d / 'a', d / 'sub' / 'b'); os.symlink('sub/b', d / 'l')\n"
        "print(sorted(os.listdir(d)), (d / 'l').read_text(), (d / 'sub/b').stat().st_size)\n"
        "with open(d / 'big', 'wb') as f: f.seek(1 << 20); f.write(b'end')\n"
        "print(os.path.getsize(d / 'big'), open(d / 'big', 'rb').read()[-4:])\n"
        "import shutil; shutil.rmtree(d); print(d.exists(), os.getcwd())",
    )
    assert ran.stderr == b""
    assert ran.stdout.decode() == "['l', 'sub'] hello 5\n1048579 b'\\x00end'\nFalse /\n"


def test_python_ends(python: Made) -> None:
    """An uncaught exception, ``sys.exit(3)``, and a script from standard input."""
    ran = python.run("-c", "1 / 0")
    assert ran.status == 1
    assert ran.stderr.endswith(b"ZeroDivisionError: division by zero\n")
    assert python.run("-c", "import sys; sys.exit(3)").status == 3
    assert python.run("-", stdin=b"print(6 * 7)\n").stdout == b"42\n"


def test_python_signals(python: Made) -> None:
    """A handler for a signal that the program sends itself; abort without one."""
    ran = python.run(
        "-c",
        "import signal, os\n"
        "signal.signal(signal.SIGUSR1, lambda n, f: print('got', n))\n"
        "os.kill(os.getpid(), signal.SIGUSR1); print('after')",
    )
    assert ran.stdout == b"got 10\nafter\n"
    ended = python.run("-c", "import os; os.abort()")
    assert ended.status == 128 + 6
    assert b"ended by SIGABRT" in ended.stderr
