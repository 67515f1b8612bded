"""``limpet run app.py``: from a bundle in which the interpreter has started and imported already.

One bundle is made for an interpreter with its modules, with room for texts; the bundle of a script
is a copy of it with the script's texts in that room.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limpet.cli import say
from limpet.cli.exchanged import Own, made_from
from limpet.cli.job import Found, Job, Packing
from limpet.cli.kept import listed_by, listed_with, read_names, write_names
from limpet.loading.asked import Wants
from limpet.loading.named import NOTHING, Named
from limpet.running.warm.guest import STUB, TEXTS, guest_files, hooks_of, laid
from limpet.running.warm.texts import REHEARSED
from limpet.tools import executables

if TYPE_CHECKING:
    from limpet.loading.start import Start
    from limpet.planning.options import Options
    from limpet.planning.plan import Plan
    from limpet.running.snapshot import Ended, Snapshot
    from limpet.running.warm.script import Script
    from limpet.running.warm.texts import Texts
    from limpet.tools.cache import Cache
    from limpet.tools.entries import Entry
    from limpet.tools.progress import Progress

_BUNDLE, _WARNINGS, _DEVICES, _ABOUT = "bundle", "warnings", "devices", "about"
_PATHS = "paths"


@dataclass(frozen=True)
class Wanted:
    """A script to be run by ``program``, which is called ``name``, with what else is packed.

    ``named`` are files among its texts that the command line names.
    """

    program: Path
    name: str
    script: Script
    options: Options
    packing: Packing
    teardown: bool = False
    named: Named = NOTHING


@dataclass(frozen=True)
class _Base(Job):
    """Makes the bundle for an interpreter with its modules, or finds out why there is none."""

    words: tuple[str, ...] = ()
    """What it is started with until its moment."""
    rehearsed: tuple[str, ...] = ()
    """What one of its starts may have behind its name."""

    def _make(
        self, folder: Path, progress: Progress, found: Found, cache: Cache, _: list[Path]
    ) -> None:
        from limpet.running.snapshot import Snapshot, attempt

        plan = found.planned or self.plan(progress, builds=True)
        progress("importing its modules once, for all starts")
        stopped = attempt(plan, self.words[1:], name=self.words[0], rehearsed=self.rehearsed)
        about = _about(plan, stopped)
        if isinstance(stopped, Snapshot):
            stopped.bundle.write(folder / _BUNDLE)
        (folder / _ABOUT).write_text(json.dumps(about), encoding="utf-8")
        (folder / _WARNINGS).write_text("".join(f"{each}\n" for each in plan.warnings))
        (folder / _DEVICES).write_text("", encoding="utf-8")
        entries = plan.guest.tree.entries
        paths = (f"{each.path}{'/' * stat.S_ISDIR(each.mode)}" for each in entries)
        write_names(folder / _PATHS, paths)


def _about(plan: Plan, stopped: Snapshot | Ended) -> dict[str, Any]:
    """What there is to know of a bundle whose guest stopped, or why it did not."""
    from limpet.formats.tree.paths import Paths
    from limpet.running.snapshot import Snapshot
    from limpet.running.warm.environment import seen_early
    from limpet.running.warm.report import reason_of, report_of

    if not isinstance(stopped, Snapshot):
        return {"cold": reason_of(stopped.stderr) or f"Python ends with status {stopped.status}"}
    if stopped.why != "marker":
        return {"cold": "what is imported reads standard input"}
    report = report_of(stopped.stdout, stopped.stderr)
    if report is None:
        return {"cold": "what is imported ends the report of it"}
    if report.printed:
        return {"cold": "what is imported prints something"}
    variable = seen_early(plan.options.environment, report.variables, plan.guest)
    if variable:
        return {"cold": f"{variable} is looked for before the script starts"}
    return {
        "cold": "",
        "texts": Paths(plan.guest.tree).index(TEXTS),
        "outline": stopped.bundle.plan.outline,
        "modules": sorted({each.partition(".")[0] for each in report.modules}),
    }


def wanted_of(
    start: Start,
    words: Sequence[str],
    options: Options,
    packing: Packing,
    given: dict[str, Any],
    named: Named = NOTHING,
) -> Wanted | str:
    """What is to be run warm, or why that cannot be.

    Args:
        words: what is behind the interpreter's own name.
        packing: what the user packs; the script's texts are in ``start``.
        given: ``warm`` and ``teardown`` as the command line has them.
        named: files that ``words`` name.

    Raises:
        LimpetError: something of it cannot be read.
    """
    from limpet.formats.bounds import is_chosen
    from limpet.formats.manifest import VOLUME, declared
    from limpet.formats.ports import port
    from limpet.loading.interpreters import home_of, known
    from limpet.running.warm.script import script_of
    from limpet.running.warm.words import words_of

    which = known(start.program)
    home = home_of(start.program, which) if which else None
    if which is None or home is None or not which.name.startswith("CPython"):
        return f"{start.program} is no CPython that is known"
    if packing.root:
        return "with --root, what is imported may be there"
    volumes = [each.name for each in declared(options.devices) if each.kind == VOLUME]
    if len(volumes) < len(options.devices):
        return "what goes on from a moment has no disks and network interfaces"
    if any(port(each).inherited for each in options.publish):
        return "what goes on from a moment has no sockets of its starter's"
    if any(map(is_chosen, (*options.publish, *options.connect))):
        return "what goes on from a moment chooses nothing at its starts"
    parts = words_of(words)
    if parts is None:
        return "the interpreter is asked for more than to run a script"
    library = f"{home}/{which.library}"
    others, terminal, imports = dict(packing.files), os.isatty(0), given["warm"]
    script = script_of(parts, start.files, which, imports, library, terminal, others, named.paths)
    if isinstance(script, str):
        return script
    if script.texts.is_below(volumes):
        return "what it runs lies below a folder of the host's"
    name = start.words[0]
    packing = replace(packing, wants=Wants(alone=start.wants.alone))  # its modules are named there
    return Wanted(start.program, name, script, options, packing, given["teardown"], named)


@contextmanager
def warm_bundle(wanted: Wanted, cache: Cache) -> Iterator[tuple[Path, Collection[str]] | str]:
    """The bundle of a script, which stays there meanwhile; or why it has to start cold.

    With it come the paths in the guest of what was named and is there.

    Raises:
        LimpetError: it cannot be made.
    """
    entry, given = None, tuple[str, ...]()
    with _stopped(wanted, cache) as (base, about, reason):
        if not reason:
            given = _free(base, wanted.named)
            lost = set(wanted.named.files).difference(given)
            texts = wanted.script.texts
            texts = texts.without(lost) if lost else texts
            entry = _with_texts(base, about, texts, wanted, cache)
    if entry is None:
        yield reason
        return
    with entry as own:
        yield own / _BUNDLE, given


def _free(base: Path, named: Named) -> tuple[str, ...]:
    """Of what was named the paths in the guest where the bundle ``base`` has nothing."""
    if not named.files:
        return ()
    there = set(read_names(base.parent / _PATHS))
    return tuple(each for each in named.files if not _is_there(each, there))


def _is_there(path: str, there: Collection[str]) -> bool:
    """Whether something is at ``path``, or a file is where one of its folders would be."""
    above = [path[:at] for at in range(1, len(path)) if path[at] == "/"]
    return f"{path}/" in there or any(each in there for each in (path, *above))


def deliver_warm(wanted: Wanted, cache: Cache, target: Path) -> int | str:
    """Put the bundle of a script at ``target``; returns its size, or why it has to start cold.

    It is written there, and not into the cache first: it is made as fast as it is copied.

    Raises:
        LimpetError: it cannot be made, or the place cannot be written.
    """
    with _stopped(wanted, cache) as (base, about, reason):
        if reason:
            return reason
        data = wanted.script.texts.filled()

        def make(path: Path) -> bool:
            return _lay(about, data, base, path, None) is not None

        if executables.take_place(target, make):
            return target.stat().st_size
        with _with_texts(base, about, wanted.script.texts, wanted, cache) as own:
            executables.copy(own / _BUNDLE, target)
            return (own / _BUNDLE).stat().st_size


@contextmanager
def _stopped(wanted: Wanted, cache: Cache) -> Iterator[tuple[Path, dict[str, Any], str]]:
    """The bundle for all scripts alike, what there is to know of it, and why it is not for this."""
    options = replace(wanted.options, snapshot=True)
    with guest_files(wanted.script, teardown=wanted.teardown, cache=cache) as folder:
        files = {**hooks_of(wanted.program), **laid(folder), **wanted.packing.files}
        packing = replace(wanted.packing, files=files)
        job = _Base.given(wanted.program, options, packing)
        options_of = wanted.script.options
        words = {
            "words": (wanted.name, *options_of, STUB),
            "rehearsed": (*options_of, REHEARSED),
        }
        base = _Base(**vars(job) | words)
        with base.bundle(cache) as made:
            about = json.loads((made.path.parent / _ABOUT).read_text(encoding="utf-8"))
            yield made.path, about, about["cold"] or _shadowed(about["modules"], wanted.script)


def _shadowed(modules: list[str], script: Script) -> str:
    both = sorted(script.texts.tops.intersection(modules))
    return f"{both[0]} beside the script has the name of a module" if both else ""


def _with_texts(
    base: Path, about: dict[str, Any], texts: Texts, wanted: Wanted, cache: Cache
) -> Entry:
    """The entry of the bundle with the script's texts."""
    data = texts.filled()
    key = f"warm-{sha256(f'{base.parent.name} '.encode() + data).hexdigest()}"

    named = bool(wanted.named.files)
    of_all = listed_with(base.parent.name, *sorted(texts.paths))
    listed = listed_by(wanted.program) if named else of_all

    def make(folder: Path) -> None:
        made_from(base.parent, folder, partial(_lay, about, data), cache, listed)

    entry = cache.folder(key, make)
    cache.keep_few(listed, (key,))
    return entry


def _lay(about: dict[str, Any], data: bytes, base: Path, target: Path, own: Own) -> Own:
    """Make the bundle ``base`` with texts in their room.

    Raises:
        BuildError: they do not fit.
    """
    from limpet.building.exchange import exchanged
    from limpet.errors import BuildError
    from limpet.formats.tree.exchange import Content
    from limpet.loading.files import TIME

    files = {about["texts"]: Content(0o100600, TIME, data)}
    made = exchanged(base, target, files, about["outline"], own=own)
    if made is None:
        raise BuildError("the texts of a script do not fit into its bundle", hint="--cold")
    return made


def run_warm(wanted: Wanted | str, argv: Sequence[str], cache: Cache) -> None:
    """Replace this process by the bundle of ``wanted``; returns where it has to start cold.

    Args:
        argv: what the bundle is started with.

    Raises:
        LimpetError: it cannot be made, or not be started.
    """
    from limpet.running.exec import replace as become

    if isinstance(wanted, str):
        say.note(f"started cold: {wanted}")
        return
    with warm_bundle(wanted, cache) as found:
        if not isinstance(found, str):
            if wanted.options.strict:
                from limpet.running.strict import refuse_if_missing

                refuse_if_missing(wanted.name, found[0], ())
            say.given(wanted.named, found[1])
            become(found[0], argv)
        say.note(f"started cold: {found}")
