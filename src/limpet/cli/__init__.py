"""The command line: a thin skin over load, plan, build and run."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from limpet.building.cache_key import bundle_key
from limpet.errors import CompileError, LimpetError, PlanError, TreeError
from limpet.guests.solo5.peek import solo5_target
from limpet.running import devices
from limpet.tools.cache import Cache
from limpet.version import __version__

if TYPE_CHECKING:
    from limpet.contract import Backend
    from limpet.planning.options import Options
    from limpet.planning.plan import Plan

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def _size(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,12})([KMG]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise click.BadParameter(f"{text!r} is not a size; write for example 64M or 1G")
    return int(match[1]) * _UNITS[match[2].upper()]


def _duration(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h)?", text.strip())
    if not match:
        raise click.BadParameter(f"{text!r} is not a time; write for example 500ms, 10s or 2m")
    scale = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}[match[2] or "s"]
    return max(1, round(float(match[1]) * scale))


class _Parsed(click.ParamType[int]):
    def __init__(self, name: str, parse: Callable[[str], int]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        return value if isinstance(value, int) else self._parse(value)


_STATE: dict[str, bool] = {"quiet": False, "verbose": False}


def _remember(_: click.Context, parameter: click.Parameter, value: bool) -> None:
    _STATE[str(parameter.name)] |= value


_SAYING_OPTIONS = tuple(
    click.option(*names, is_flag=True, expose_value=False, callback=_remember, help=text)
    for *names, text in (
        ("-q", "--quiet", "Say nothing but errors."),
        ("-v", "--verbose", "Say what is being done."),
    )
)
"""Before the command or behind it."""

_GUEST_OPTIONS = (
    click.option("--root", type=click.Path(path_type=Path), help="Pack this folder as /."),
    click.option("--file", "files", multiple=True, metavar="HOST:GUEST", help="Pack one file."),
    click.option(
        "--keep-times",
        is_flag=True,
        help="Packed files keep their times; else all are of 1980, and copies make equal bundles.",
    ),
    click.option(
        "--backend",
        type=click.Choice(["auto", "kvm", "process", "both"]),
        default="auto",
        show_default=True,
        help="Virtual machine or jailed process; auto takes kvm where it works.",
    ),
    click.option(
        "--memory",
        type=_Parsed("size", _size),
        default=0,
        help="All the memory that the guest can get (128M; of a unikernel 512M in all).",
    ),
    click.option("--timeout", type=_Parsed("time", _duration), default=0, help="End it then."),
    click.option(
        "--max-output",
        type=_Parsed("size", _size),
        default=0,
        help="End it when it has written more.",
    ),
    click.option(
        "--env",
        "environment",
        multiple=True,
        metavar="NAME[=VALUE]",
        help="Give the guest a variable; without a value, the one of the moment. It has no other.",
    ),
    click.option(
        "--cpu",
        type=click.Choice(["v2", "v3"]),
        default="v2",
        show_default=True,
        help="x86-64 level that a kvm guest sees.",
    ),
    click.option("--no-rewrite", is_flag=True, help="Trap every system call; for comparison."),
)


def saying_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in _SAYING_OPTIONS:
        command = option(command)
    return command


def guest_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_GUEST_OPTIONS):
        command = option(command)
    return saying_options(command)


def note(text: str) -> None:
    if not _STATE["quiet"]:
        click.echo(f"limpet: {text}", err=True)


def _detail(text: str) -> None:
    if _STATE["verbose"]:
        click.echo(f"limpet: {text}", err=True)


def packed_files(given: tuple[str, ...]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for each in given:
        host, colon, guest = each.rpartition(":")
        if not colon or not host or not guest:
            raise TreeError(f"--file {each}: not HOST:GUEST", hint="--file data.csv:/data/data.csv")
        if guest in files:
            raise TreeError(f"--file {each}: {guest} is given twice", hint="leave one out")
        files[guest] = Path(host)
    return files


def chosen_backends(choice: str) -> tuple[Backend, ...]:
    if choice == "both":
        return ("kvm", "process")
    if choice == "kvm":
        return ("kvm",)
    if choice == "process":
        return ("process",)
    from limpet.running.host import kvm_problem

    problem = kvm_problem()
    if problem is None:
        note("backend kvm")
        return ("kvm",)
    note(f"backend process ({problem})")
    return ("process",)


class _Job:
    """A guest and options as given on the command line."""

    def __init__(
        self,
        app: str,
        given: dict[str, Any],
        block: tuple[str, ...],
        net: tuple[str, ...],
    ) -> None:
        self.app = Path(app)
        self.root: Path | None = given["root"]
        self.files = packed_files(given["files"])
        self.target = solo5_target(self.app)
        chosen = given["backend"]
        self.backends = () if self.target and chosen == "auto" else chosen_backends(chosen)
        declared = devices.declared(block, net)  # a unikernel has those of its manifest
        self._given = given | {"devices": [] if self.target else declared}

    def key(self) -> str | None:
        """The bundle's key in the cache, or ``None`` when an input has to be complained about."""
        options = [self.app.name, *sorted((k, v) for k, v in self._given.items() if k != "root")]
        try:
            return bundle_key(self.app, self.root, self.files, [*options, self.backends])
        except OSError:
            return None

    def options(self) -> Options:
        from limpet.planning.options import Options

        return Options(
            backends=self.backends,
            memory=self._given["memory"],
            timeout=self._given["timeout"],
            max_output=self._given["max_output"],
            cpu=self._given["cpu"],
            rewrite=not self._given["no_rewrite"],
            environment=tuple(self._given["environment"]),
            devices=tuple(self._given["devices"]),
        )

    def plan(self, progress: Callable[[str], None]) -> Plan:
        from limpet.guests.registry import load, plan

        keep = self._given["keep_times"]
        guest = load(self.app, root=self.root, files=self.files, keep_times=keep, progress=progress)
        made = plan(guest, self.options())
        for warning in made.warnings:
            note(f"warning: {warning}")
        return made

    def bundle(self, cache: Cache) -> Path:
        """The bundle, from the cache or made now."""
        key = self.key()
        if key is None:
            self.plan(_detail)  # says what is wrong with the input
            raise PlanError(f"{self.app}: changed while it was read", hint="try again")
        return cache.file(key, self._make)

    def _make(self, path: Path) -> None:
        from limpet.building.bundle import build

        started = time.monotonic()
        with _Progress() as progress:
            made = self.plan(progress.say)
            progress.say("building the monitor")
            bundle = build(made)
        bundle.write(path)
        _detail(
            f"built in {time.monotonic() - started:.2f} s: {len(bundle.data)} bytes, monitor "
            f"{bundle.monitor.size} bytes, {len(made.calls)} system calls, "
            f"{len(made.hypercalls)} hypercalls"
        )


class _Progress:
    """A status line on a terminal's standard error once something takes more than a moment."""

    def __init__(self) -> None:
        self._status: Any = None

    def __enter__(self) -> _Progress:
        return self

    def say(self, text: str) -> None:
        _detail(text)
        if _STATE["quiet"] or not sys.stderr.isatty():
            if "minute" in text and not _STATE["quiet"] and not _STATE["verbose"]:
                click.echo(f"limpet: {text}", err=True)
            return
        if self._status is None:
            from rich.console import Console

            self._status = Console(stderr=True).status(text)
            self._status.start()
        self._status.update(text)

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()


class _Commands(click.Group):
    """The commands here, and those of :mod:`limpet.cli.trust` once they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *_TRUST_COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _TRUST_COMMANDS:
            from limpet.cli import trust as cli_trust

            return cli_trust.COMMANDS[cmd_name]
        return super().get_command(ctx, cmd_name)


_TRUST_COMMANDS = ("audit", "verify", "rebuild")


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@saying_options
@click.version_option(__version__, prog_name="limpet")
def cli() -> None:
    """One program, one tiny machine made for it alone, one executable file."""


_PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@cli.command(context_settings=_PASS_ON)
@guest_options
@click.option(
    "--block", multiple=True, metavar="NAME=PATH[:ro][,sector=N]", help="Attach a block device."
)
@click.option(
    "--net",
    multiple=True,
    metavar="NAME=tap:IFACE|user[,mac=A][,mtu=N]",
    help="Attach a network: a TAP interface, or the host's sockets through passt.",
)
@click.option(
    "-p",
    "--publish",
    multiple=True,
    metavar="[ADDR:]HOST:GUEST",
    help="Forward a port (user networks), from 127.0.0.1 unless ADDR says otherwise.",
)
@click.option("--strict", is_flag=True, help="Refuse to start when a protection is missing here.")
@click.argument("app")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(
    app: str,
    arguments: tuple[str, ...],
    strict: bool,
    block: tuple[str, ...],
    net: tuple[str, ...],
    publish: tuple[str, ...],
    **given: Any,
) -> None:
    """Run APP (a static program, a .c file, a folder with limpet.toml or a Solo5 unikernel).

    The exit status is the guest's own; see docs/exit-status.md for the others.
    """
    from limpet.running.exec import replace

    if strict and given["backend"] == "auto":
        given["backend"] = "auto" if solo5_target(Path(app)) else "kvm"  # no process in its stead
    job = _Job(app, given, block, net)
    if strict:
        from limpet.running.strict import refuse_if_missing

        refuse_if_missing(job.plan(_detail))
    path = job.bundle(Cache.default())
    words: list[str] = []
    if job.target or block or net or publish:
        words = [*devices.bundle_words(block, net, publish), "--"]
    replace(path, [app, *words, *arguments])


@cli.command()
@guest_options
@click.option("--block", multiple=True, metavar="NAME", help="The program has a block device.")
@click.option("--net", multiple=True, metavar="NAME", help="The program has a network.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to put the bundle.")
@click.argument("app")
def build(
    app: str, output: Path | None, block: tuple[str, ...], net: tuple[str, ...], **given: Any
) -> None:
    """Write the bundle of APP: one executable that needs nothing else."""
    devices.names_only(block, net)
    from limpet.building.bundle import write_bundle

    name = Path(app).resolve().name.removesuffix(".c")
    target = output or Path(f"{name}.limpet")
    data = _Job(app, given, block, net).bundle(Cache.default()).read_bytes()
    write_bundle(target, data)
    note(f"{target}: {len(data)} bytes")


@cli.command()
@guest_options
@click.option("--block", multiple=True, metavar="NAME", help="The program has a block device.")
@click.option("--net", multiple=True, metavar="NAME", help="The program has a network.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.argument("app")
def explain(
    app: str, as_json: bool, block: tuple[str, ...], net: tuple[str, ...], **given: Any
) -> None:
    """Say what the bundle of APP has and lacks, and the reason for each."""
    from limpet.planning.explain import as_data, as_text

    devices.names_only(block, net)
    made = _Job(app, given, block, net).plan(_detail)
    if as_json:
        import json

        click.echo(json.dumps(as_data(made), indent=2))
    else:
        click.echo(as_text(made), nl=False)


@cli.command()
def doctor() -> None:
    """Say what this host offers, what is missing, and what to type."""
    from limpet.running.host import checks
    from limpet.running.strict import protections
    from limpet.tools.toolchain import version, zig

    bad = False
    for check in checks():
        _report(check.name, check.ok, check.detail, check.hint)
        bad |= not check.ok and check.backend != "kvm"
    try:
        zig()
        _report("toolchain", True, version(), "")
    except LimpetError as error:
        _report("toolchain", False, error.message, error.hint or "")
        bad = True
    click.echo("protections on this host")
    for each in protections():
        click.echo(f"{'active ' if each.active else 'MISSING'} {each.name}: {each.detail}")
    sys.exit(1 if bad else 0)


def _report(name: str, ok: bool, detail: str, hint: str) -> None:
    click.echo(f"{'ok     ' if ok else 'MISSING'} {name}: {detail}")
    if not ok and hint:
        click.echo(f"        try: {hint}")


def main() -> NoReturn:
    """The entry point: errors become one message and an exit status, never a traceback."""
    try:
        cli(standalone_mode=False)
    except CompileError as error:
        click.echo(error.output.rstrip(), err=True)
        _fail(error)
    except LimpetError as error:
        _fail(error)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("limpet: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(141)
    sys.exit(0)


def _fail(error: LimpetError) -> NoReturn:
    click.echo(f"limpet: {error.message}", err=True)
    if error.hint:
        click.echo(f"limpet: try: {error.hint}", err=True)
    sys.exit(error.exit_status)
