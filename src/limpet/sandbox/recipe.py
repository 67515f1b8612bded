"""What a sandbox starts from: a bundle of an interpreter that waits, made once and kept.

A start must not read megabytes to know that nothing has changed.  So each start looks at the
folders that the interpreter's files lie in, at the interpreter and at the agent.  When that was
last done more than a minute ago it looks at every file of the packages as well, and those of the
interpreter's own library are looked at once it has started: nobody edits these in place, and where
somebody did, it is said, and the next start has them.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limpet.errors import LimpetError, PlanError, RunError, TimeLimit
from limpet.plain import plain
from limpet.planning.options import Options
from limpet.sandbox import given
from limpet.sandbox.memory import VARIABLE
from limpet.tools.cache import Cache
from limpet.version import __version__

if TYPE_CHECKING:
    from limpet.contract import Backend
    from limpet.loading.guest import Guest
    from limpet.running.devices import Volume
    from limpet.tools.entries import Entry

_AGENT = Path(__file__).parent / "guest"
_THERE = "/.limpet/limpet_guest"
"""Where the agent is in a guest."""

_START = "import sys; sys.path.append('/.limpet'); import limpet_guest.__main__"
_WORDS = ["-I", "-c", _START]
_FRESH = 60
"""Seconds for which a look at every file holds."""

LONGEST_WARM = 300
"""Seconds that packages and ``warm`` may take, once for all sandboxes alike."""

_LOOKS = '"""\nimport zoneinfo\n"""\n'
"""Names what looks for files of the host's, and does not import it."""

_MONITOR = "limpet: "
_NO_MEMORY = "ran out of its"
"""What a monitor's words begin with, and those about memory have in them."""

_LEAST_MEMORY = 32 << 20
"""Bytes in which any interpreter alone starts, and runs something."""

_MOST_SAID = 300
"""Characters of what an interpreter said last that an error repeats."""

_BUNDLE, _ANEW = "bundle", "anew"
REWIND = "rewind"
"""The feature of a monitor that takes a guest back to an earlier state."""

JIT = "jit"
"""That of one that lets the program run code that it makes."""

_STARTER = "starter"
"""That of one that ends a guest with who started it, which may be killed."""

_KEPT = {"bundle", "seen", "own", "looked", "folders", "library"}

_SOON = 0.02
"""Seconds behind a start until its own library is looked at."""

_PACKAGES = "-packages/"
"""In the path of what was installed, below the interpreter's own library or elsewhere."""

_looking = set[str]()
"""What is being looked at now."""
os.register_at_fork(after_in_child=_looking.clear)


@dataclass(frozen=True)
class Recipe:
    """An interpreter, what it has imported, and what it may do.

    ``python`` is an interpreter of this host, ``packages`` names what is packed for it, modules or
    what pip installs, ``warm`` is code that has run before anything else does, ``volumes`` are
    folders of this host.  Where that code uses a way out each start runs it anew: nothing of it is
    in a snapshot.
    """

    python: str = ""
    packages: tuple[str, ...] = ()
    warm: str = ""
    options: Options = field(default_factory=Options)
    volumes: tuple[Volume, ...] = ()

    @classmethod
    def of(
        cls,
        *,
        backend: Backend | None,
        python: str | os.PathLike[str],
        packages: Sequence[str],
        warm: str,
        memory: int,
        connect: Sequence[str] = (),
        volumes: Sequence[str] = (),
        jit: bool = False,
    ) -> Recipe:
        """As a user gives it.

        Raises:
            PlanError: something is not what it should be.
        """
        if not isinstance(warm, str):
            raise PlanError(f"warm: {warm!r} is no text", hint='warm="import json"')
        python = given.interpreter(python)
        if packages and not python and sys.prefix != sys.base_prefix:
            python = sys.executable  # whose packages these are
        folders = given.folders(volumes)
        if not isinstance(jit, bool):
            raise PlanError(f"jit: {jit!r} is neither True nor False", hint="jit=True")
        rewinds = not connect and not folders and not jit  # which the host's kernel knows of
        options = Options(
            backends=(given.backend(backend),),
            memory=given.memory(memory),
            devices=tuple(f"volume:{each.name}{':ro' * each.read_only}" for each in folders),
            snapshot=True,
            features=("signals", _STARTER, *([REWIND] if rewinds else []), *([JIT] if jit else [])),
            environment=(VARIABLE,),
            connect=given.destinations(connect),
        )
        return cls(python, given.packages(packages), warm, options, folders)

    @property
    def interpreter(self) -> Path:
        """By default the one that runs this, without its environment's packages."""
        return Path(self.python or os.path.realpath(sys.executable))

    @property
    def leads_out(self) -> bool:
        """Whether there is more than its memory."""
        return bool(self.options.connect or self.volumes)

    def command(self, entry: Path) -> list[str]:
        """What the bundle in ``entry`` is started with."""
        attached = [word for each in self.volumes for word in each.words()]
        anew = _WORDS if self.leads_out and (entry / _ANEW).exists() else []
        return [str(self.interpreter), *attached, *(["--"] if attached else []), *anew]

    def bundle(self, cache: Cache) -> Entry:
        """The folder with the bundle, which stays while it is held.

        Raises:
            LimpetError: it cannot be made.
        """
        name = f"sandbox-{self._key()}"
        kept = cache.text(name)
        found = _read(kept) if kept else None
        if found and found["folders"] == _states(found["folders"]):
            fresh = 0 <= time.time() - found["looked"] < _FRESH
            if fresh or self._looks_the_same(cache, name, found):
                entry = cache.held(found["bundle"])
                if entry:
                    return entry
        return self._made(cache, name)

    def _key(self) -> str:
        words = (__version__, str(self.interpreter.absolute()), self.packages, self.warm)
        return hashlib.sha256(repr((*words, self.options, _own())).encode()).hexdigest()

    def _looks_the_same(self, cache: Cache, name: str, found: Mapping[str, Any]) -> bool:
        """Look at the files that somebody may have edited; soon, at all others."""
        from limpet.loading import seen

        text = cache.text(f"seen-{found['seen']}")
        if text is None:
            return False
        states = seen.read(text)
        own = f"{found['library']}/"
        if any(
            seen.state_of(path) != state
            for path, state in states.items()
            if not path.startswith((own, seen.GLOB)) or _PACKAGES in path
        ):
            return False
        if name not in _looking:
            _looking.add(name)
            threading.Timer(_SOON, self._look, (cache, name, found, text)).start()
        return True

    def _look(self, cache: Cache, name: str, found: Mapping[str, Any], text: str) -> None:
        """Look at every file, and note that it was done; say it where one has changed."""
        from limpet.loading import seen

        try:
            if seen.same(text) and found["own"] == _own_files():
                cache.put_text(name, json.dumps({**found, "looked": time.time()}))
                return
            cache.put_text(name, "")
            warnings.warn(
                f"{self.interpreter}: files of it or of Limpet have changed since it was packed: "
                "sandboxes that were started until now have what was there before, the next ones "
                "what is there",
                RuntimeWarning,
                stacklevel=2,
            )
        finally:
            _looking.discard(name)

    def _made(self, cache: Cache, name: str) -> Entry:
        from limpet.loading import seen

        with tempfile.TemporaryDirectory(prefix="limpet-") as folder:
            own = _own_files()
            guest = self._guest(Path(folder))
            text = seen.written(
                {path: state for path, state in guest.seen.items() if folder not in path}
            )
            digest = hashlib.sha256(f"{name}\0{own}\0{text}".encode(errors="surrogateescape"))
            key = digest.hexdigest()
            entry = cache.folder(f"warm-{key}", lambda to: self._make(guest, to))
        cache.put_text(f"seen-{key}", text)
        kept = {"bundle": f"warm-{key}", "seen": key, "own": own, "looked": time.time()}
        kept |= {"folders": _states(_folders(text)), "library": _library(self.interpreter)}
        cache.put_text(name, json.dumps(kept))
        return entry

    def _guest(self, folder: Path) -> Guest:
        from limpet.guests.registry import load
        from limpet.guests.usual import usual
        from limpet.loading.interpreters import known
        from limpet.running.warm.guest import RENEWED, hooks_of
        from limpet.sandbox.packages import check_packed, modules_of

        path = self.interpreter
        which = known(path)
        if which is None or not which.name.startswith("CPython") or not path.exists():
            raise PlanError(
                f"{path}: {'not a Python that Limpet knows' if path.exists() else 'no such file'}",
                hint='give one, for example python="/usr/bin/python3"',
            )
        warm, packages = folder / "warm.py", folder / "packages.py"
        warm.write_text(self.warm, "utf-8")
        modules = modules_of(self.packages, path, which)
        text = _LOOKS + "".join(f"import {each}\n" for each in modules)
        packages.write_text(text, "utf-8")
        files = {f"{_THERE}/{each.name}": each for each in (*_AGENT.glob("*.py"), warm, packages)}
        files |= {f"{_THERE}/renewed.py": RENEWED, **hooks_of(path)}
        usual(path).begin(Cache.default(), replace(self.options, snapshot=True))
        environment, trust = self.options.environment, bool(self.options.connect)
        guest = load(path, files=files, environment=environment, trust=trust, builds=False)
        check_packed(modules, guest.seen, path)
        return guest

    def _make(self, guest: Guest, folder: Path) -> None:
        from limpet.guests.registry import plan
        from limpet.running.snapshot import Ended, attempt

        name = str(self.interpreter.absolute())
        try:
            found = attempt(plan(guest, self.options), _WORDS, name=name, seconds=LONGEST_WARM)
            if isinstance(found, Ended) and found.late:
                raise self._too_slow()
            if isinstance(found, Ended):
                raise self._not_ready(found.status, found.stderr)
            made = found.bundle
        except RunError:
            if not self.leads_out:
                raise
            from limpet.building.bundle import build

            made = build(plan(guest, replace(self.options, snapshot=False)))
            (folder / _ANEW).touch()
        made.write(folder / _BUNDLE)

    def _too_slow(self) -> TimeLimit:
        what = "warm: its code" if self.warm else f"{self.interpreter}: it"
        return TimeLimit(
            f"{what} has not come to its end within {LONGEST_WARM} seconds",
            hint="have it do less; what takes longer can be run once and kept: snapshot()",
        )

    def _not_ready(self, status: int, stderr: bytes) -> LimpetError:
        """Why it did not come to its moment: what it said last, and what its monitor says."""
        lines = stderr.decode(errors="replace").strip().split("\n")
        monitors = [each.removeprefix(_MONITOR) for each in lines if each.startswith(_MONITOR)]
        if any(_NO_MEMORY in each for each in monitors):
            return self._too_small()
        own = [each for each in lines if each and not each.startswith((_MONITOR, " "))]
        said = plain("; ".join([*own[-1:], *monitors]))[:_MOST_SAID]
        said = said and f": {said}"
        what = "warm: its code" if self.warm else f"{self.interpreter}: it"
        hint = f"try it: {self.interpreter} -c CODE"
        return RunError(f"{what} ends with status {status}{said}", hint=hint)

    def _too_small(self) -> PlanError:
        memory = self.options.memory
        return PlanError(
            f"memory: {memory} bytes are too few to start {self.interpreter} in"
            f"{' with its packages and warm code' * bool(self.packages or self.warm)}",
            hint=f"memory={max(_LEAST_MEMORY, memory * 2) >> 20} << 20",
        )


def _library(path: Path) -> str:
    """The folder of an interpreter's own modules."""
    from limpet.loading.interpreters import home_of, known

    which = known(path)
    assert which, "checked when it was read"
    return f"{home_of(path, which)}/{which.library}"


def _own() -> str:
    """This package as ``stat`` has it; what looks closer is not imported for it."""
    with os.scandir(_AGENT) as there:
        return repr(_states(sorted(each.path for each in there if each.name.endswith(".py"))))


def _own_files() -> str:
    """All of Limpet."""
    from limpet.building.cache_key import own_files

    return hashlib.sha256(b"\0".join(own_files())).hexdigest()


def _folders(seen: str) -> list[str]:
    """Those that what was looked at lies in, and programs and objects themselves."""
    paths = [each for each in seen.split("\0")[::2] if not each.startswith("*")]
    objects = [each for each in paths if ".so" in os.path.basename(each)]
    return sorted({os.path.dirname(each) for each in paths} | set(objects) | set(paths[:1]))


def _states(paths: Any) -> dict[str, list[int]]:
    found = {}
    for path in paths:
        try:
            status = os.stat(path)
            found[path] = [status.st_ino, status.st_ctime_ns]
        except OSError:
            found[path] = []
    return found


def _read(kept: str) -> dict[str, Any] | None:
    try:
        found = json.loads(kept)
    except ValueError:
        return None
    whole = isinstance(found, dict) and found.keys() >= _KEPT
    return found if whole and isinstance(found["folders"], dict) else None
