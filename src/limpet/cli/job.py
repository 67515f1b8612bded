"""A guest and options as given on the command line: its key, its plan, its bundle."""

from __future__ import annotations

import gc
import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limpet.building.cache_key import Keys, keys_of
from limpet.cli import kept, say
from limpet.cli.exchanged import BUNDLE, exchanged, from_last, is_made_from_one
from limpet.errors import BuildError, PlanError
from limpet.formats.elf import IDENT
from limpet.guests.usual import usual
from limpet.loading import seen, sources
from limpet.loading.asked import NOTHING, Wants
from limpet.tools import executables
from limpet.tools.cache import Cache
from limpet.tools.inputs import begins_with, digest_of

if TYPE_CHECKING:
    from limpet.building.last import Changed
    from limpet.contract import Backend
    from limpet.loading.start import Start
    from limpet.planning.options import Options
    from limpet.planning.plan import Plan
    from limpet.tools.entries import Entry
    from limpet.tools.progress import Progress

_DEVICES = "devices"


@dataclass(frozen=True)
class Made:
    """A bundle in the cache, what its plan warned about, and the devices of a manifest.

    ``devices`` are ``block:NAME`` and ``net:NAME``; ``given`` are the paths in the guest of what
    the command line names and is in its tree.
    """

    path: Path
    warnings: tuple[str, ...]
    devices: tuple[str, ...]
    given: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """The key of a bundle, those of what is kept for the next, and what is known already of it.

    ``kin`` is of one to which the command line gives other files.
    """

    key: str
    last: str = ""
    kin: str = ""
    planned: Plan | None = None
    changed: Changed | None = None


@dataclass(frozen=True)
class Packing:
    """The files that a guest gets: a folder, and single files over it by their path in the guest.

    ``keep_times`` says whether they keep their times of change, ``include`` has patterns of files
    of this host that are packed where they are, ``wants`` what an interpreter is to have beside;
    ``given`` are files that the command line names, for paths that nothing else has.
    """

    root: Path | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    keep_times: bool = False
    include: tuple[str, ...] = ()
    wants: Wants = NOTHING
    given: Mapping[str, Path] = field(default_factory=dict)

    def for_start(self, start: Start) -> Packing:
        """With what starts as well: its scripts, where nothing else was given for their paths."""
        return replace(self, files={**start.files, **self.files}, wants=start.wants)


@dataclass(frozen=True)
class Job:
    """One bundle to make, or to find made; ``options`` leave nothing open."""

    app: Path
    options: Options
    packing: Packing = Packing()
    fell_back: str = ""
    """Why ``auto`` is not the virtual machine that a user expects."""

    @classmethod
    def given(
        cls, app: Path, options: Options, packing: Packing = Packing(), *, strict: bool = False
    ) -> Job:
        """The job for ``options`` as the user gave them, the backend chosen for this host.

        Args:
            strict: nothing stands in for a virtual machine.
        """
        kind = usual(app)
        fell_back = ""
        if kind.devices:
            options = replace(options, devices=())  # it has those of its manifest
        if not options.backends and not kind.only and not strict:
            found, fell_back = on_this_host()
            options = replace(options, backends=found)
        return cls(app, kind.complete(options), packing, fell_back)

    def plan(self, progress: Progress, *, builds: bool = False) -> Plan:
        """Read the guest and decide everything.

        Args:
            builds: it is built next: what stands beside it is compiled meanwhile.

        Raises:
            LimpetError: it cannot be.
        """
        self._check()
        begun = builds and begins_with(self.app, IDENT[:4])  # all else may end soon, in an error
        if begun:
            usual(self.app).begin(Cache.default(), self.options)
        from limpet.guests.registry import load, plan

        guest = load(
            self.app,
            root=self.packing.root,
            files=self.packing.files,
            keep_times=self.packing.keep_times,
            environment=self.options.environment,
            include=self.packing.include,
            wants=self.packing.wants,
            given=self.packing.given,
            trust=bool(self.options.connect),
            progress=progress,
            builds=builds and not begun,
        )
        for each in guest.notes:
            say.note(each)
        return plan(guest, self.options)

    def _check(self) -> None:
        """What is wrong with the options is said before anything is read or compiled."""
        from limpet.guests import registry

        registry.check(self.app, self.options)

    @contextmanager
    def bundle(self, cache: Cache) -> Iterator[Made]:
        """The bundle, from the cache or made now, which stays there meanwhile.

        What its plan warned about is said either way, and which backend it is when that is not the
        one that a user expects.

        Raises:
            LimpetError: it cannot be made.
        """
        with say.Progress() as progress, _uncollected():
            found = self._found(cache, progress)
            entry = self._entry(cache, found, progress)
        with entry as folder:
            lines = kept.lines_in(folder)
            self._say(lines)
            given = kept.read_names(folder / kept.GIVEN) if self.packing.given else ()
            yield Made(folder / BUNDLE, lines, self._devices(folder), given)

    def deliver(self, cache: Cache, target: Path) -> int:
        """Put the bundle at ``target``, and say what its plan warned about.

        Where only texts have changed it is written there, and not into the cache first: it is made
        from the last one as fast as it is copied.

        Returns:
            Its size.

        Raises:
            LimpetError: it cannot be made, or the place cannot be written.
        """
        with say.Progress() as progress, _uncollected():
            found = self._found(cache, progress)
            changed = found.changed
            entry = cache.held(changed.base) if changed else None
            if entry and changed:
                with entry as base:
                    lines = kept.lines_in(base)
                    if executables.take_place(target, partial(from_last, changed, base)):
                        self._say(lines)
                        return target.stat().st_size
            entry = self._entry(cache, found, progress, left := [target])
        with entry as folder:
            self._say(kept.lines_in(folder))
            if left:
                executables.copy(folder / BUNDLE, target)
            return (folder / BUNDLE).stat().st_size

    def _entry(
        self, cache: Cache, found: Found, progress: Progress, targets: list[Path] | None = None
    ) -> Entry:
        """The entry of the bundle; one that is made now is put at the ``targets`` as well.

        Those that it was put at are taken from the list.
        """

        def make(folder: Path) -> None:
            self._make(folder, progress, found, cache, targets or [])

        entry = cache.folder(found.key, make)
        if self.packing.given:
            base = (found.changed.base,) if found.changed else ()
            cache.keep_few(self._listed(found), (*base, found.key))
        elif is_made_from_one(entry.path):
            cache.keep_few(self._listed(found), (found.key,))
        return entry

    def _listed(self, found: Found) -> str:
        """What the bundle is noted under with others, of which a few are kept."""
        named = self.packing.given
        return kept.listed_by(self.app) if named else kept.listed_with(found.last)

    def _say(self, lines: Sequence[str]) -> None:
        say.warn(lines)
        if self.fell_back:
            say.note(f"backend process ({self.fell_back})")

    def _devices(self, folder: Path) -> tuple[str, ...]:
        """Those that a unikernel brings."""
        if not usual(self.app).devices:
            return ()
        return tuple((folder / _DEVICES).read_text("utf-8").split())

    def _found(self, cache: Cache, progress: Progress) -> Found:
        """What is known of the bundle before it is looked for; C is compiled when it has changed.

        Of a dynamic program the shared objects count as well, and what is included, and of one that
        connects the host's certificates: where they are not known, or have changed, it has to be
        planned, unless only texts are others.
        """
        keys = self._keys(cache, progress)
        include = [os.path.abspath(each) for each in self.packing.include]
        follows = include or self.packing.given or self.options.connect
        if not follows and not seen.is_dynamic(self.app):
            return Found(keys.bundle)
        more = f"\0{os.path.realpath(self.app)}\0{include}".encode(errors="surrogateescape")
        digest = hashlib.sha256(keys.bundle.encode() + more)
        last = f"last-{hashlib.sha256(keys.outline.encode() + more).hexdigest()}"
        kin = f"last-{hashlib.sha256(keys.kin.encode() + more).hexdigest()}"
        name = f"seen-{digest.hexdigest()}"
        digest.update(keys.given.encode(errors="surrogateescape"))
        known, planned, changed = cache.text(name), None, None
        if known is not None and seen.same(known):
            key = _key(digest, known)
            changed = None if _has(cache, key) else self._changed(cache, last, kin)
            return Found(key, last, kin, None, changed)
        changed = self._changed(cache, last, kin)
        if changed:
            known = changed.seen
        else:
            planned = self.plan(progress, builds=True)
            known = seen.written(planned.guest.seen)
        cache.put_text(name, known)
        return Found(_key(digest, known), last, kin, planned, changed)

    def _changed(self, cache: Cache, last: str, kin: str) -> Changed | None:
        """What is to be exchanged in the last bundle of the kind, or one with other given files."""
        given = self.packing.given
        text = cache.text(last) if self.packing.files or given else None
        other = cache.text(kin) if text is None and given else None
        if text is None and other is None:
            return None
        from limpet.building.last import Last

        found = Last.parse(text or other or "")
        if found is None:
            return None
        return found.changed(self.app) if text else found.others(self.app, given)

    def _keys(self, cache: Cache, progress: Progress) -> Keys:
        program, root = self._program(cache, progress)
        packing = self.packing
        single = packing.files or packing.include or packing.given
        packs = root or single or seen.is_dynamic(self.app)
        try:
            return keys_of(
                program,
                self.app.name,
                self.options,
                root=root,
                files=packing.files,
                keep_times=packing.keep_times and bool(packs),
                wants=packing.wants,
                given=packing.given,
            )
        except OSError:
            self.plan(progress)  # says what is wrong with the input
            raise PlanError(f"{self.app}: changed while it was read", hint="try again") from None

    def _program(self, cache: Cache, progress: Progress) -> tuple[str, Path | None]:
        """The digest of the program, and the folder to pack."""
        if not sources.is_source(self.app):
            return digest_of(str(self.app)), self.packing.root
        found = sources.known(self.app, cache)
        if found is None:
            self._check()
            from limpet.loading.project import program_of

            program_of(self.app, progress, cache)
            found = sources.known(self.app, cache)
        if found is None:
            raise PlanError(f"{self.app}: changed while it was read", hint="try again")
        return found.made, self.packing.root or (Path(found.root) if found.root else None)

    def _make(
        self, folder: Path, progress: Progress, found: Found, cache: Cache, targets: list[Path]
    ) -> None:
        started = time.monotonic()
        given, listed = self.packing.given, self._listed(found)
        if found.changed and exchanged(folder, found.changed, cache, given, listed):
            return
        from limpet.building.bundle import build

        planned = found.planned or self.plan(progress, builds=True)
        progress("building the monitor")
        bundle = build(planned)
        made = bundle.plan
        try:
            bundle.write(folder / BUNDLE, *targets)
            targets.clear()
        except BuildError:
            bundle.write(folder / BUNDLE)  # the other place is said to be wrong by who copies
        devices = "".join(f"{each.kind}:{each.name}\n" for each in made.image.devices)
        (folder / _DEVICES).write_text(devices, "utf-8")
        kept.write_lines(folder, made.warnings)
        if self.packing.given:
            kept.write_names(folder / kept.GIVEN, made.guest.given)
        if found.last and (self.packing.files or self.packing.given):
            from limpet.building.last import last_of

            last = last_of(made, found.key, self.app)
            cache.put_text(found.last, last.text())
            if last.given:
                cache.put_text(found.kin, last.text())
        say.detail(
            f"built in {time.monotonic() - started:.2f} s: {bundle.size} bytes, monitor "
            f"{bundle.monitor.size} bytes, {len(made.calls)} system calls, "
            f"{len(made.hypercalls)} hypercalls"
        )


def _key(guest: Any, known: str) -> str:
    """The key of the bundle of a ``guest`` whose files were ``known`` to be so."""
    digest = guest.copy()
    digest.update(known.encode(errors="surrogateescape"))
    return f"bundle-{digest.hexdigest()}"


def _has(cache: Cache, key: str) -> bool:
    entry = cache.held(key)
    if entry is not None:
        os.close(entry.handle)
    return entry is not None


@contextmanager
def _uncollected() -> Iterator[None]:
    """Nothing is looked for that refers to itself: a build makes little of it, and much else.

    Looking for it was a seventh of the time.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # nor when it is over
        if was:
            gc.enable()


def on_this_host() -> tuple[tuple[Backend, ...], str]:
    """What ``--backend auto`` is here, and why it is not a virtual machine."""
    from limpet.running.kvm import kvm_problem

    problem = kvm_problem()
    return (("process",), problem) if problem else (("kvm",), "")
