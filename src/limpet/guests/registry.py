"""``load`` and ``plan``: the verbs that choose among the kinds of guest, and nobody else does.

The kinds are found, not listed: a folder here with a ``kind.py`` is one.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path

from limpet import contract
from limpet.arch.x86_64 import machine
from limpet.contract.pages import MIN_MEMORY, PAGE
from limpet.errors import ImageError, PlanError
from limpet.formats.bundle.read import is_bundle
from limpet.formats.image import Image, read_program
from limpet.guests.kind import Kind
from limpet.guests.usual import usual
from limpet.loading.asked import NOTHING, Wants
from limpet.loading.dynamic import tree_of
from limpet.loading.guest import Guest
from limpet.loading.objects import with_objects
from limpet.loading.offers import offers
from limpet.loading.project import program_of
from limpet.planning.options import Options
from limpet.planning.plan import Plan
from limpet.tools.cache import Cache
from limpet.tools.progress import Progress, silent


@cache
def kinds() -> tuple[Kind, ...]:
    """Every kind of guest, in the order in which they are asked."""
    here = [str(Path(__file__).parent)]
    folders = sorted(each.name for each in pkgutil.iter_modules(here) if each.ispkg)
    found: list[Kind] = [import_module(f"limpet.guests.{name}.kind").KIND for name in folders]
    return tuple(sorted(found, key=lambda kind: kind.fallback))


def kind_of(image: Image) -> Kind:
    """The kind of guest that ``image`` is."""
    return next(kind for kind in kinds() if image.kind in kind.images)


def read_image(data: bytes, name: str) -> Image:
    """Read a program from its bytes; ``name`` is what errors call it.

    Raises:
        ImageError: it is not a program that Limpet can run; names what is wrong and what to do.
    """
    program = read_program(data, name)
    images = (kind.read(program) for kind in kinds())
    return next(image for image in images if image is not None)


def load(
    path: Path | str,
    *,
    root: Path | None = None,
    files: Mapping[str, Path] | None = None,
    keep_times: bool = False,
    environment: Sequence[str] = (),
    include: Sequence[str] = (),
    wants: Wants = NOTHING,
    given: Mapping[str, Path] | None = None,
    trust: bool = False,
    progress: Progress = silent,
    cache: Cache | None = None,
    builds: bool = True,
) -> Guest:
    """Read the guest at ``path``.

    Args:
        path: an ELF file, a ``.c`` file or a folder with ``limpet.toml``.
        root: a folder to pack as the guest's read-only file tree.
        files: single files over it, by their path in the guest.
        keep_times: whether packed files keep their times, instead of one time for all.
        environment: its ``NAME=VALUE`` strings: a loader looks for shared objects as they say.
        include: files and folders of this host to pack where they are, by pattern.
        wants: what an interpreter that is known is to have, beside what its texts name.
        given: files of this host by their path in the guest, where it has nothing else.
        trust: it may connect: where it names the certificates of this host, it has them.
        progress: told what takes a moment.
        cache: what was compiled, and what was found out about shared objects, before.
        builds: it is built next: what stands beside it is compiled meanwhile.

    Raises:
        InputError: anything given cannot be used; names it and what to do.
    """
    cache = cache or Cache.default()
    try:
        found = program_of(Path(path), progress, cache)
        progress("reading the program")
        image = read_image(found.data, found.name)
    except ImageError:
        if not is_bundle(Path(path)):
            raise
        raise ImageError(
            f"{path}: a bundle, which has its guest inside already",
            hint=f"start it by itself, see what it can do with limpet audit {path}, or make it "
            f"again with other options: limpet rebuild {path} -o NEW",
        ) from None
    if builds:
        usual(Path(path)).begin(cache, Options())
    packed = tree_of(
        image,
        path,
        root or found.root,
        files,
        keep_times=keep_times,
        environment=environment,
        include=include,
        wants=wants,
        given=given,
        trust=trust,
    )
    guest = with_objects(image, packed.tree, packed.path, progress, cache)
    judged = kind_of(image).judge(guest)
    return replace(
        guest,
        seen=packed.seen,
        texts=packed.texts,
        given=tuple(packed.given),
        why=tuple(packed.why),
        notes=tuple(packed.notes),
        warnings=tuple(packed.warnings),
        judged=judged,
        offers=offers(guest, packed.find) if packed.find else (),
    )


def check(path: Path, options: Options) -> None:
    """Nothing, or an error for options that are wrong whatever the guest at ``path`` holds.

    It comes before the guest is read, which can take seconds.

    Args:
        options: with nothing left open.

    Raises:
        PlanError: they are.
    """
    _check(path.name, options)
    name = usual(path).kind
    for kind in kinds():
        if name == kind.name or name in kind.images:
            kind.check(options)


def plan(
    guest: Guest,
    options: Options | None = None,
    cache: Cache | None = None,
    *,
    measured: bool = False,
) -> Plan:
    """Decide everything about the bundle of ``guest``.

    Args:
        cache: where the size of what stands beside the guest is known, or found out once.
        measured: there is as much room for that as it was measured to take at most, since the
            usual room is too little for this guest (``build`` finds that out).

    Raises:
        PlanError: the options or the guest cannot be honoured.
        ToolchainError: the pinned toolchain is missing or broken.
    """
    kind = kind_of(guest.image)
    options = kind.defaults(guest.image, options or Options())
    _check(guest.image.name, options)
    sizes = kind.measure if measured else kind.room
    return kind.plan(guest, options, sizes(guest.image, cache or Cache.default()))


def _check(name: str, options: Options) -> None:
    if set(options.backends) - set(contract.BACKENDS):
        raise PlanError(
            f"no such backend: {', '.join(options.backends)}",
            hint="use kvm, process or both",
        )
    if options.cpu not in machine.CPU_LEVELS:
        raise PlanError(
            f"no such processor level: {options.cpu}",
            hint=f"use one of {', '.join(sorted(machine.CPU_LEVELS))}",
        )
    if options.memory < MIN_MEMORY or options.memory % PAGE:
        raise PlanError(
            f"{options.memory} bytes of memory cannot be given to {name}",
            hint=f"give at least {MIN_MEMORY >> 20} MiB, for example --memory 64M",
        )
    for each in options.environment:
        if not each.partition("=")[0] or "\0" in each:
            raise PlanError(
                f"{each!r} is no variable of an environment", hint="write NAME=VALUE, or NAME"
            )
    if options.timeout < 0 or options.max_output < 0:
        raise PlanError("a limit cannot be negative", hint="leave it out for no limit")
