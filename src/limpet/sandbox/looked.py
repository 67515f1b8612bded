"""Whether what a bundle was made from is the same: looks that are short, and one that is not.

A start must not read megabytes to know that nothing has changed.  So each start looks at the
folders that the interpreter's files lie in, at the interpreter and at the agent.  When that was
last done more than a minute ago it looks at every file of the packages as well, and those of the
interpreter's own library, and the system's data, are looked at once it has started: nobody edits
these in place, and where somebody did, it is said, and the next start has them.
"""

from __future__ import annotations

import binascii
import json
import os
import threading
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from limpet.errors import BuildError

if TYPE_CHECKING:
    from limpet.tools.cache import Cache

_FRESH = 60
"""Seconds for which a look at every file holds."""

_SOON = 0.02
"""Seconds behind a start until all that is left is looked at."""

States = dict[str, str]

_LONG = 1.0
"""Seconds that a fork waits for such a look at most."""

_looking = dict[str, threading.Thread]()
"""Who looks at what now."""


def _await_looks() -> None:
    """Before this program forks: its child would have what such a thread holds, without it."""
    for each in list(_looking.values()):
        if each.is_alive() and each is not threading.current_thread():
            each.join(_LONG)


os.register_at_fork(before=_await_looks, after_in_child=_looking.clear)


class Looked:
    """What was found when a bundle was made, or last looked at, as the cache has it.

    Args:
        words: all that the bundle's recipe says.
        fields: ``bundle``, ``python``, ``looked`` (when all was), ``seen`` and ``own`` (all), and
            the states of ``folders`` and ``edited``, with ``patterns``, that are looked at first.
    """

    def __init__(self, cache: Cache, words: str, fields: Mapping[str, Any]) -> None:
        self._cache, self._words = cache, words
        self._fields = {**fields, "recipe": words}

    @classmethod
    def kept(cls, cache: Cache, words: str) -> Looked | None:
        """That of the recipe that says ``words``, if there is one."""
        try:
            fields = json.loads(cache.text(_name_of(words)) or "{}")
        except ValueError:  # a disk that was full, or failed
            return None
        known = isinstance(fields, dict) and fields.get("recipe") == words
        return cls(cache, words, fields) if known else None

    def keep(self) -> None:
        """For later starts."""
        self._cache.put_text(_name_of(self._words), json.dumps(self._fields))

    @property
    def bundle(self) -> str:
        """Under which the cache has it."""
        name: str = self._fields["bundle"]
        return name

    def is_same(self) -> bool:
        """Look at what shows most changes; soon, where that is due, at all that there is."""
        fields = self._fields
        if fields["folders"] != states(fields["folders"]):
            return False
        if 0 <= time.time() - fields["looked"] < _FRESH:
            return True
        if fields["edited"] != states(fields["edited"]) or not _matches(fields["patterns"]):
            return False
        if self._words not in _looking:
            look = _looking[self._words] = threading.Timer(_SOON, self._look)
            try:
                look.start()
            except RuntimeError:  # none can be started any more, or now
                self._look()
        return True

    def _look(self) -> None:
        """Look at every file, and note that it was done; say it where one has changed."""
        from limpet.loading import seen

        try:
            text = self._cache.text(f"seen-{self._fields['seen']}")
            there = text is not None  # it may have been thrown out
            same = text is None or (seen.same(text) and self._fields["own"] == own_files())
            problem = self._noted(same and there)
            if not same:
                _say(self._fields["python"], problem)
        finally:
            _looking.pop(self._words, None)

    def _noted(self, same: bool) -> str:
        """Note it, so that a later start looks no more, or makes another; why that cannot be."""
        try:
            if same:
                self._fields["looked"] = time.time()
                self.keep()
            else:
                self._cache.put_text(_name_of(self._words), "")
        except BuildError as error:  # a cache that is only read: each start looks
            return error.message
        return ""


def states(paths: Iterable[str]) -> States:
    """What shows that a file or folder is another, or has changed; nothing where there is none.

    Texts, since of hundreds of lists Python would look whether they are garbage: 1 ms of a call.
    """
    found = {}
    for path in paths:
        try:
            status = os.stat(path)
            found[path] = f"{status.st_ino} {status.st_ctime_ns}"
        except OSError:
            found[path] = ""
    return found


def own_files() -> str:
    """All of Limpet."""
    import hashlib

    from limpet.building.cache_key import own_files

    return hashlib.sha256(b"\0".join(own_files())).hexdigest()


def _name_of(words: str) -> str:
    """Under which it is kept, with the words themselves: two of one sum take turns there."""
    return f"sandbox-{binascii.crc32(words.encode()):064x}"


def _matches(patterns: str) -> bool:
    if not patterns:  # as a rule
        return True
    from limpet.loading import seen

    return seen.same(patterns)


def _say(python: str, problem: str) -> None:
    import warnings

    which = f"as well, since {problem}" if problem else "what is there"
    warnings.warn(
        f"{python}: files of it or of Limpet have changed since it was packed: sandboxes that were "
        f"started until now have what was there before, the next ones {which}",
        RuntimeWarning,
        stacklevel=2,
    )
