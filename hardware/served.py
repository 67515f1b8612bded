"""How much of the host's kernel a served request reaches: a request on a connection that is there.

The server is traced from the moment before the request to the moment when it waits again.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import limpet
from hardware.compare import for_qemu
from hardware.machine import Ended, run
from limpet.tools.toolchain import compile_program

_COMMANDS = {
    "Limpet, process": "$B/serve.process",
    "Limpet, kvm": "$B/serve.kvm",
    "natively": "$B/serve",
    "bubblewrap, with the host's network": "bwrap --unshare-all --share-net --die-with-parent "
    "--bind /root-of-serve / --proc /proc --dev /dev --tmpfs /tmp /serve",
}

_SCRIPT = """\
T=/sys/kernel/tracing
mkdir -p /tmp /root-of-serve/tmp /root-of-serve/proc /root-of-serve/dev
cp $B/serve /root-of-serve/serve
ifconfig lo 127.0.0.1 up || ip link set lo up
echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start
echo 0 > $T/tracing_on
echo nop > $T/current_tracer
echo 100000 > $T/buffer_size_kb
echo function-fork > $T/trace_options
mkfifo in out
sh -c 'echo $$ > /sys/kernel/tracing/set_ftrace_pid; exec %s' & worker=$!
$B/serve ask < in > out & client=$!
exec 3> in 4< out
read line <&4
echo "$line"
echo function > $T/current_tracer
echo > $T/trace
sleep 0.3
echo 1 > $T/tracing_on
echo go >&3
read line <&4
echo "$line"
sleep 0.3
echo 0 > $T/tracing_on
$B/distinct < $T/trace
echo nop > $T/current_tracer
echo > $T/set_ftrace_pid
echo end >&3
wait $client $worker
"""


def _programs(folder: Path) -> dict[str, bytes]:
    serve, distinct = folder / "serve", folder / "distinct"
    for program in (serve, distinct):
        compile_program([Path(__file__).parent / "c" / f"{program.name}.c"], program)
    made = {path.name: path.read_bytes() for path in (serve, distinct)}
    guest = limpet.load(serve)
    for backend in ("kvm", "process"):
        options = limpet.Options(backends=(backend,), publish=("127.0.0.1:80:80/tcp",))
        made[f"serve.{backend}"] = for_qemu(limpet.build(limpet.plan(guest, options)))
    return made


def measure(turns: int, functions: Callable[[Ended, str], set[str]]) -> dict[str, float]:
    """Functions of a request, by sandbox; ``functions`` reads what a run has printed."""
    with tempfile.TemporaryDirectory(prefix="limpet-surface-") as folder:
        programs = _programs(Path(folder))
    scripts = {
        f"{name} {turn}": _SCRIPT % command
        for name, command in _COMMANDS.items()
        for turn in range(turns)
    }
    if not (bwrap := shutil.which("bwrap")):
        raise FileNotFoundError("bwrap: Debian's bubblewrap has it")
    ended = run(scripts, programs, [Path(bwrap)])
    return {
        name: median(
            len(functions(ended[f"{name} {turn}"], f"{name} {turn}")) for turn in range(turns)
        )
        for name in _COMMANDS
    }
