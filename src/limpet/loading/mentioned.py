"""Files beside a script that its text names and a guest does not have: a hint before it starts.

Nothing is packed for it: whoever wrote a script would choose what of the host's a guest can read.
This is on the path of every cached ``limpet run``, so it imports nothing heavy.
"""

from __future__ import annotations

import os
import posixpath
import re
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path

from limpet.loading.interpreters import MOST_TEXT
from limpet.plain import quoted

_NAME = re.compile(rb"""(?<![\w\\])(?:rb?|br?|f)?(["'])((?:\./)?\w[\w./ +-]{0,98}\.\w{1,10})\1""")
"""A text between quotes that has an ending, as files of data do, and leads nowhere above."""

_MODULES = (".py", ".pyc", ".pl", ".pm", ".rb")
"""Those that are imported are packed, and known only later."""

_MOST_LOOKED_AT, _MOST_SHOWN = 100, 3


def mentioned(
    files: Mapping[str, Path],
    taken: Collection[str],
    folders: Collection[str] = (),
    root: Path | None = None,
) -> tuple[str, ...]:
    """What to say of those that the script names, where ``files`` are a script alone.

    Args:
        files: it, by its path in the guest.
        taken: paths in the guest that are packed.
        folders: of the guest that are the host's.
        root: the folder that is packed.
    """
    if len(files) != 1:
        return ()
    ((script, host),) = files.items()
    found: dict[str, str] = {}

    def has(guest: str) -> bool:
        below = any(guest.startswith(f"{each}/") for each in folders)
        return below or guest in taken or (root is not None and os.path.lexists(f"{root}{guest}"))

    for name in _names(host):
        places = {
            _path(posixpath.dirname(script), name): os.path.join(os.path.dirname(host), name),
            _path("/", name): name,
        }
        given = [guest for guest, path in places.items() if os.path.isfile(path)]
        if given and not any(map(has, places)):
            path = os.path.normpath(places[given[-1]])
            found[name] = f"--file {shlex.quote(quoted(f'{path}:{given[-1]}'))}"
    if not found:
        return ()
    names = list(found)
    more = f" and {len(names) - _MOST_SHOWN} more" if names[_MOST_SHOWN:] else ""
    told = ", ".join(map(quoted, names[:_MOST_SHOWN]))
    return (
        f"{quoted(host.name)} names {told}{more}, which the guest does not have "
        f"({found[names[0]]} gives a copy)",
    )


def _path(folder: str, name: str) -> str:
    """In a guest, whose working folder is ``/``."""
    return f"/{posixpath.normpath(posixpath.join(folder, name)).lstrip('/')}"


def _names(script: Path) -> list[str]:
    try:
        with script.open("rb") as stream:
            text = stream.read(MOST_TEXT)
    except OSError:
        return []
    names = (each[2].decode("ascii", "replace") for each in _NAME.finditer(text))
    others = (each for each in dict.fromkeys(names) if ".." not in each)
    return [each for each in others if not each.endswith(_MODULES)][:_MOST_LOOKED_AT]
