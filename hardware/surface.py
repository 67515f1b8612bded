"""How much of the host's kernel a guest reaches: distinct functions, as the kernel's tracer saw.

Whole life is from the first instruction of the sandbox's own program to its end; the work is what
happens between a line of input and the word "done", when everything is set up.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

import limpet
from hardware import served
from hardware.compare import for_qemu
from hardware.machine import Ended, run
from limpet.tools.toolchain import compile_program

DOCUMENT = Path(__file__).parents[1] / "docs" / "surface.md"
TURNS = 3

_COMMANDS = {
    "Limpet, process": "$B/work.process",
    "Limpet, kvm": "$B/work.kvm",
    "natively": "/root-of-work/work",
    "bubblewrap": "bwrap --unshare-all --die-with-parent --bind /root-of-work / --proc /proc "
    "--dev /dev --tmpfs /tmp /work",
    "crun": "crun --cgroup-manager=disabled run --bundle /container work$$",
}

_SCRIPT = """\
T=/sys/kernel/tracing
WHOLE=%d
mkdir -p /container /root-of-work/tmp /root-of-work/proc /root-of-work/dev /tmp
cp $B/work /root-of-work/work; cp $B/data /root-of-work/data; cp $B/data /data
cp $B/config.json /container/config.json; ln -sfn /root-of-work /container/rootfs
export XDG_RUNTIME_DIR=/tmp
echo 0 > $T/tracing_on
echo nop > $T/current_tracer
echo 100000 > $T/buffer_size_kb
echo function-fork > $T/trace_options
mkfifo in out
sh -c 'echo $$ > /sys/kernel/tracing/set_ftrace_pid; read go; exec %s' < in > out & worker=$!
exec 3> in 4< out
sleep 0.3
echo function > $T/current_tracer
echo > $T/trace
echo $WHOLE > $T/tracing_on
echo go >&3
read line <&4
echo "$line"
sleep 0.3
echo 1 > $T/tracing_on
echo work >&3
while read line <&4; do [ "$line" = done ] && break; done
echo "$line"
echo $WHOLE > $T/tracing_on
exec 3>&-
wait $worker || echo "status $?"
echo 0 > $T/tracing_on
$B/distinct < $T/trace
echo > $T/set_ftrace_pid
"""


def _container(folder: Path) -> bytes:
    """crun's own default configuration, with our program and no terminal."""
    subprocess.run(["crun", "spec"], cwd=folder, check=True)
    config = json.loads((folder / "config.json").read_text())
    config["process"] |= {"terminal": False, "args": ["/work"]}
    config["root"] = {"path": "rootfs", "readonly": False}
    return json.dumps(config).encode()


def _bundles(folder: Path, *, container: bool) -> dict[str, bytes]:
    work, distinct = folder / "work", folder / "distinct"
    for program in (work, distinct):
        compile_program([Path(__file__).parent / "c" / f"{program.name}.c"], program)
    data = folder / "data"
    data.write_bytes(b"some bytes to read\n" * 400)
    made = {path.name: path.read_bytes() for path in (work, distinct, data)}
    made["config.json"] = _container(folder) if container else b"{}"
    guest = limpet.load(work, files={"/data": data})
    for backend in ("kvm", "process"):
        options = limpet.Options(backends=(backend,))
        made[f"work.{backend}"] = for_qemu(limpet.build(limpet.plan(guest, options)))
    return made


def _functions(ended: Ended, name: str) -> set[str]:
    lines = ended.stdout.decode().splitlines()
    if lines[:2] != ["ready", "done"] or ended.status:
        raise RuntimeError(f"{name}: {lines[:9]} {ended.stderr.decode()[-500:]}")
    word, kept, written = lines[2].split()
    if word != "entries" or kept != written:
        raise RuntimeError(f"{name}: the trace does not hold everything: {lines[2]}")
    return set(lines[3:])


MOST = {"Limpet, process": (1.1, 0.5), "Limpet, kvm": (2.0, 0.75)}
"""What is promised beside the same program natively: in its whole life, and during the work."""


def measure(names: Sequence[str], turns: int) -> dict[str, tuple[float, float]]:
    """Functions by sandbox: in its whole life, and during the work."""
    with tempfile.TemporaryDirectory(prefix="limpet-surface-") as folder:
        bundles = _bundles(Path(folder), container="crun" in names)
    keys = {
        (name, whole, turn): _SCRIPT % (whole, command)
        for name, command in _COMMANDS.items()
        for whole in (1, 0)
        for turn in range(turns if name in names else 0)
    }
    programs = [Path(found) for each in ("bwrap", "crun") if (found := shutil.which(each))]
    ended = run({str(key): script for key, script in keys.items()}, bundles, programs)
    counts = {key: len(_functions(ended[str(key)], str(key))) for key in keys}
    return {
        name: tuple(  # type: ignore[misc]
            median(counts[name, whole, turn] for turn in range(turns)) for whole in (1, 0)
        )
        for name in names
    }


_TEXT = """\
# How much of the host's kernel is reached

Distinct functions of the host's kernel (Debian's, Linux {kernel}) that run on behalf of a program,
as the kernel's own function tracer sees them. `python -m hardware surface --write` measures it and
writes this page.

| the same program | whole life | the work alone |
|---|---|---|
{rows}

**The work** is what a program does all day: fifty files opened, read and closed, a file written,
renamed and removed, 4 MiB of memory mapped, touched and given back, clocks, a hundred lines of
output ([work.c](../hardware/c/work.c)). It begins with a line of input, when everything has been
set up, and ends with its last line. **Whole life** is all from the sandbox's `execve` to its end.

**How.** The kernel runs in QEMU's emulation of AMD-V, with one processor. `function` traces the
sandbox's process and its children (`set_ftrace_pid`, `function-fork`); lines in interrupt context
do not count. A run whose trace was not complete is an error. Each number is the median of {turns}
runs. bubblewrap has `--unshare-all`, crun its own default configuration, which has no filter.

| a request that is served | functions |
|---|---|
{served}

**A request** comes over a TCP connection that is there already, to a server that waits with epoll,
and is answered with 600 bytes ([serve.c](../hardware/c/serve.c)); the server is traced until it
waits again. One run. bubblewrap has the host's network here: with one of its own another process,
pasta, carries each byte, and what that reaches comes on top.

Functions that are inlined or not traceable are not seen, in any row. In the process backend the
program's page faults are the host kernel's; in kvm too, and the functions of KVM come with them.
"""


def main(write: bool, check: bool) -> int:
    """Measure, print, and write the page or hold the figures against what is promised."""
    names = [*MOST, "natively"] if check else list(_COMMANDS)
    found = measure(names, 1 if check else TURNS)
    table = Table("the same program", "whole life", "the work alone")
    for name, (whole, work) in found.items():
        table.add_row(name, f"{whole:g}", f"{work:g}")
    Console().print(table)
    if write:
        from hardware.kernel import fetch, image

        rows = "\n".join(f"| {n} | {whole:g} | {work:g} |" for n, (whole, work) in found.items())
        requests = served.measure(1, _functions)
        served_rows = "\n".join(f"| {name} | {count:g} |" for name, count in requests.items())
        kernel = image(fetch()).name.removeprefix("vmlinuz-")
        text = _TEXT.format(rows=rows, kernel=kernel, turns=TURNS, served=served_rows)
        DOCUMENT.write_text(text, encoding="utf-8")
    native = found["natively"]
    broken = [
        f"{name}: {mine:g} of {theirs:g} functions, more than {most:g} of them"
        for name, promised in MOST.items()
        for mine, theirs, most in zip(found[name], native, promised, strict=True)
        if mine > most * theirs
    ]
    for each in broken:
        print(each)
    return 1 if broken else 0
