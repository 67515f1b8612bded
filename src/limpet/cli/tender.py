"""``limpet-hvt`` and ``limpet-spt``: the command lines of Solo5's tenders.

``limpet-hvt [OPTIONS] [--] KERNEL [ARGS]`` makes the bundle of KERNEL, or takes it from the cache,
and becomes it.  The bundle itself understands the options; what can be said before it starts is
said here, with a tender's exit status.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

from limpet.cli.job import Job
from limpet.errors import ImageError, LimpetError, PlanError
from limpet.guests.usual import usual
from limpet.planning.options import Options
from limpet.tools.cache import Cache
from limpet.version import __version__

_DEVICE_OPTIONS = (
    "--mem=",
    "--net:",
    "--net-mac:",
    "--net-mtu:",
    "--block:",
    "--block-readonly:",
    "--block-sector-size:",
)
_NOT_HERE = {"--x-exec-heap": "memory is never both writable and executable"}

_USAGE = """\
usage: limpet-{target} [ OPTIONS ] [ -- ] KERNEL [ ARGS ]
KERNEL is the filename of the unikernel to run.
ARGS are optional arguments passed to the unikernel.
Options:
  --mem=512                        guest memory in MB
  --net:NAME=IFACE | @NN           attach a TAP interface, or descriptor NN, as network NAME
  --net-mac:NAME=HWADDR            its address
  --net-mtu:NAME=MTU               its MTU
  --block:NAME=PATH                attach a file or device as block device NAME
  --block-readonly:NAME=PATH       the same, never written
  --block-sector-size:NAME=SIZE    its sector size, a power of two from 512 on
  --dumpcore=DIR                   a unikernel that aborts or traps leaves a core file in DIR
  --gdb                            wait for a debugger before the first instruction
  --gdb-port=1234                  where it connects, on 127.0.0.1
  --version                        say which version this is
  --help                           this
"""

_VERSION = """\
limpet-{target} tender, version {version}
ABI version 2
ABI version 1"""
"""As Solo5's tenders, for albatross, which wants one line with the version of its unikernel."""


class UsageError(LimpetError):
    """The command line is not a tender's."""


_DUMPCORE = "--dumpcore="
_GDB, _GDB_PORT = "--gdb", "--gdb-port="


def _split(target: str, words: list[str]) -> tuple[list[str], Path, list[str]]:
    """Options, the kernel, and its arguments."""
    options: list[str] = []
    rest = list(words)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        if word == "--":
            break
        if word == "--help":
            raise UsageError("")
        if word == "--version":
            print(_VERSION.format(target=target, version=__version__), file=sys.stderr)
            sys.exit(0)
        for name, why in _NOT_HERE.items():
            if word.startswith(name):
                raise PlanError(f"{word}: {why}", hint="leave it out")
        if word != _GDB and not word.startswith((*_DEVICE_OPTIONS, _DUMPCORE, _GDB_PORT)):
            raise UsageError(f"Invalid option: `{word}'")
        options.append(word)
    if not rest:
        raise UsageError("Missing KERNEL operand")
    return options, Path(rest[0]), rest[1:]


def job_of(kernel: Path, target: str, *features: str) -> Job:
    """The bundle of ``kernel`` as a job.

    Raises:
        LimpetError: it is not a unikernel for ``target``.
    """
    found = usual(kernel).kind
    if found != target:
        if not kernel.is_file():
            raise ImageError(f"{kernel}: Could not open: not a file", hint="check the path")
        from limpet.guests.registry import load

        found = load(kernel, builds=False).image.kind  # has more to say of a damaged one
        raise ImageError(
            f"{kernel}: Executable is not for the solo5-{target} target",
            hint=f"it is for {found}: use limpet run",
        )
    return Job.given(kernel, Options(features=features))


def _watched(target: str, path: Path, argv: list[str], folder: str) -> int:
    """The exit status of a unikernel that leaves a core file, named as Solo5's tenders name it."""
    from limpet.cli.debugger import known
    from limpet.running.cores.dump import run

    def said(line: str) -> None:
        print(f"limpet-{target}: {line}", file=sys.stderr, flush=True)

    return run(path, argv, Path(folder), f"core.solo5-{target}", known(), said)


def _debugged(path: Path, argv: list[str], ports: list[str]) -> int:
    """The exit status of a unikernel under a debugger."""
    from limpet.cli.debugger import debug
    from limpet.running.debugging.places import DEFAULT, place

    try:
        where = place(f":{ports[-1].removeprefix(_GDB_PORT)}" if ports else DEFAULT)
    except ValueError:
        raise UsageError(f"Malformed argument to {_GDB_PORT[:-1]}") from None
    return debug(path, argv, where)


def main(target: str) -> NoReturn:
    """The entry point of both commands."""
    from limpet.running.exec import replace

    try:
        options, kernel, arguments = _split(target, sys.argv[1:])
        if not kernel.exists():
            raise ImageError(f"{kernel}: Could not open: no such file", hint="check the path")
        folders = [each for each in options if each.startswith(_DUMPCORE)]
        debugged = _GDB in options
        features = [_GDB.strip("-")] * debugged + [_DUMPCORE.strip("-=")] * bool(folders)
        with job_of(kernel, target, *features).bundle(Cache.default()) as made:
            ports = [each for each in options if each.startswith(_GDB_PORT)]
            own = [each for each in options if each not in (*folders, *ports, _GDB)]
            argv = [str(kernel), *own, "--", *arguments]
            if debugged:
                sys.exit(_debugged(made.path, argv, ports))
            if not folders:
                replace(made.path, argv)
            sys.exit(_watched(target, made.path, argv, folders[-1].removeprefix(_DUMPCORE)))
    except UsageError as error:
        message = f"limpet-{target}: {error.message}\n" if error.message else ""
        print(message + _USAGE.format(target=target), end="", file=sys.stderr)
    except LimpetError as error:
        print(f"limpet-{target}: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"limpet-{target}: try: {error.hint}", file=sys.stderr)
    except KeyboardInterrupt:
        pass
    sys.exit(1)


def hvt() -> NoReturn:
    """``limpet-hvt``."""
    main("hvt")


def spt() -> NoReturn:
    """``limpet-spt``."""
    main("spt")
