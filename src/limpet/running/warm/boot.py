"""Runs in the guest: imports modules, says that its moment has come, and goes on from there.

What comes before the moment is the same for every start and must not know any of them; what comes
after has to be as Python does it (``Modules/main.c``).  The name of this file lets ``warnings``
pass over its frames, below what is imported, as over those of an import.

What is decided outside is given to ``boot``.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # nothing is imported that the script would not find imported
    from typing import Any, ClassVar

    from .renewed import renew_modules  # in one namespace; by its full name see program.py

CANNOT = 97
"""The status that says why there can be no moment, on standard error."""

_DEVICE = "/dev/limpet/snapshot"

_before = set(sys.modules) - {"__future__"}
import gc  # noqa: E402
import marshal  # noqa: E402
import os as _os  # noqa: E402
import posix  # noqa: E402

os: Any = _os
_module = sys.modules.get
_NEEDED = {"__future__", "_collections", "_functools", "atexit", "gc", "marshal", "posix"}
_UNSEEN = _NEEDED - _before


class _Refused(Exception):
    """Why there can be no moment."""


class _SeenNames(dict):  # type: ignore[type-arg]
    """The environment, empty, and what was looked for in it."""

    seen: ClassVar[set[str]] = set()

    def _saw(self, key: Any = b"*") -> None:
        self.seen.add(os.fsdecode(key) if isinstance(key, bytes) else "*")

    def __getitem__(self, key: Any) -> Any:
        self._saw(key)
        return dict.__getitem__(self, key)

    def __contains__(self, key: Any) -> bool:
        self._saw(key)
        return dict.__contains__(self, key)

    def get(self, key: Any, default: Any = None) -> Any:
        self._saw(key)
        return dict.get(self, key, default)

    def __iter__(self) -> Any:
        self._saw()
        return dict.__iter__(self)

    def __len__(self) -> int:
        self._saw()
        return dict.__len__(self)


class _SeenWords(list):  # type: ignore[type-arg]
    """``sys.argv`` before anybody has given one, and whether it was looked at."""

    seen = False

    def _saw(self) -> None:
        _SeenWords.seen = True

    def __getitem__(self, index: Any) -> Any:
        self._saw()
        return list.__getitem__(self, index)

    def __iter__(self) -> Any:
        self._saw()
        return list.__iter__(self)

    def __len__(self) -> int:
        self._saw()
        return list.__len__(self)


def _set_environment(data: Any) -> None:
    os.environ._data = os.environb._data = data


def _forget_environment() -> None:
    for name in list(os.environ._data):
        posix.unsetenv(name)
    _set_environment(_SeenNames())


def _import(name: str, members: tuple[str, ...]) -> None:
    try:
        __import__(name, fromlist=members)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _Refused(f"importing {name} raises {type(error).__name__}: {error}") from None
    except BaseException as error:
        raise _Refused(f"importing {name} raises {type(error).__name__}: {error}") from None


def _warm_up(names: Any) -> None:
    """All imports, none of which may have done what only a start can do."""
    descriptors = set(os.listdir("/proc/self/fd"))
    _forget_environment()
    words = sys.argv
    sys.argv = _SeenWords([""])
    for name, members in names:
        _import(name, members)
    if type(sys.argv) is not _SeenWords or _SeenWords.seen:
        raise _Refused("what is imported looks at sys.argv")
    if type(os.environ._data) is not _SeenNames or dict.__len__(os.environ._data):
        raise _Refused("what is imported sets an environment variable")
    sys.argv = words
    if sys.modules["_thread"]._count():
        raise _Refused("what is imported starts a thread")
    if set(os.listdir("/proc/self/fd")) != descriptors:
        raise _Refused("what is imported leaves a file open")
    if os.path.exists(_DEVICE) and _read(_DEVICE) != b"0\n":
        raise _Refused("what is imported connects to something")
    renew_modules()  # before the moment: what cannot be renewed is no secret afterwards


def _report() -> None:
    """To whoever takes the snapshot, behind all that the imports have printed."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    new = sorted(each for each in set(sys.modules) - _before if isinstance(each, str))
    os.write(1, b"\0limpet" + repr((sorted(_SeenNames.seen), new)).encode())


def _read(path: str) -> bytes:
    handle, size = os.open(path, os.O_RDONLY), 1 << 12  # more would be mapped for the moment
    whole = piece = os.read(handle, size)
    while piece:
        size *= 2
        piece = os.read(handle, size)
        whole += piece
    os.close(handle)
    return bytes(whole)


def _hooks(which: str) -> Any:
    module = _module("snapshot_restore_py")
    return list(getattr(module, which)()) if module is not None else []


def _moment() -> None:
    """Stops here; each start of the bundle goes on from here."""
    for function, words, named in reversed(_hooks("get_before_snapshot")):
        function(*words, **named)
    _say()


def _say() -> None:
    """That the moment has come; a second time, that other threads may have their input."""
    handle = os.open(_DEVICE, os.O_WRONLY)
    os.write(handle, b"1")
    os.close(handle)


def _words(options: int) -> list[str]:
    """What this start was given, the interpreter's options left out."""
    words = [os.fsdecode(each) for each in _read("/proc/self/cmdline").split(b"\0")[:-1]]
    if hasattr(sys, "orig_argv"):
        sys.orig_argv[:] = words
    return words[1 + options :]


def _environment() -> None:
    data = {}
    for each in _read("/proc/self/environ").split(b"\0")[:-1]:
        name, _, value = each.partition(b"=")
        if name and name not in data:
            data[name] = value
            posix.putenv(name, value)
    _set_environment(data)


def _streams() -> None:
    """They were files until now, and may be a terminal; without buffers there is no difference."""
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is not None and not getattr(stream, "write_through", False) and os.isatty(number):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def _make_folder(path: str) -> None:
    """With all above it, where they are not there."""
    if not path:
        return
    try:
        posix.mkdir(path)
    except FileExistsError:
        return
    except FileNotFoundError:
        _make_folder(path.rpartition("/")[0])
        posix.mkdir(path)


def _unpack(folder: str) -> None:
    """The texts of this start, where they would have been packed."""
    box = f"{folder}/run/files"
    handle = os.open(box, os.O_RDONLY)
    size = int.from_bytes(os.read(handle, 8), "little")
    files = marshal.loads(os.read(handle, size))  # without the rest of its room
    os.close(handle)
    for path, mode, modified, data in files:
        _make_folder(path.rpartition("/")[0])
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        os.write(handle, data)  # memory takes all of it at once
        os.close(handle)
        os.utime(path, ns=(modified, modified))
    os.unlink(box)
    os.rmdir(f"{folder}/run")
    os.rmdir(folder)


def _start(options: int, folder: str) -> list[str]:
    """Everything until the script can run: the words that name it."""
    words = _words(options)
    _environment()
    _streams()
    renew_modules()
    _unpack(folder)
    for function, given, named in _hooks("get_after_restore"):
        function(*given, **named)
    return words


def boot(names: Any, options: int, folder: str) -> list[str]:
    """Come to the moment, and go on from there.

    Args:
        names: modules to import, each with what is wanted of it.
        options: words that are the interpreter's own options.
        folder: where this file is, with ``run/files`` beside it (``texts.py``).

    Returns:
        The words of this start behind those options.
    """
    for each in _UNSEEN:  # who imports one finds that it has not been
        sys.modules.pop(each, None)
    try:
        _warm_up(names)
    except _Refused as why:
        os.write(2, b"\0limpet%s\n" % str(why).encode(errors="replace"))
        os._exit(CANNOT)
    _report()
    for each in os.listdir(folder):
        if each != "run":
            os.unlink(f"{folder}/{each}")
    gc.collect()
    gc.freeze()
    _moment()
    return _start(options, folder)
