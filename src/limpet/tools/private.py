"""Folders that only this user can have written: what is in the cache is run, by root too.

Somebody else who can write a folder can put a program of theirs where ours is expected.  So nothing
is taken from a folder or file that another user owns, that its group or everybody may write, or
that is a symbolic link.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def problem(status: os.stat_result) -> str | None:
    """Why a file or folder with this ``lstat`` may be somebody else's doing, or ``None``."""
    if stat.S_ISLNK(status.st_mode):
        return "it is a symbolic link"
    if status.st_uid != os.geteuid():
        return f"it belongs to user {status.st_uid}, not to you ({os.geteuid()})"
    if status.st_mode & _OTHERS:
        return f"others may write it (mode {stat.S_IMODE(status.st_mode):o})"
    return None


def others_may_write(status: os.stat_result) -> str | None:
    """Why somebody who is neither root nor this user may write a file, or ``None``."""
    if status.st_uid not in (os.geteuid(), 0, os.stat("/").st_uid):
        return f"it belongs to user {status.st_uid}"
    if _exchangeable(status):
        return f"others may write it (mode {stat.S_IMODE(status.st_mode):o})"
    return None


def way_problem(folder: str) -> str | None:
    """Why somebody else could exchange ``folder`` for another, or ``None``.

    Whoever can write a folder above it can, unless that is sticky as ``/tmp`` is.
    """
    trusted = {os.geteuid(), 0, os.stat("/").st_uid}  # in a user namespace root has another number
    above = _above(os.path.abspath(folder))
    for path in dict.fromkeys([*above, *_above(os.path.realpath(folder))]):
        try:
            status = os.lstat(path)
        except FileNotFoundError:  # it will be made, by us
            continue
        if status.st_uid not in trusted:
            return f"{path} above it belongs to user {status.st_uid}"
        if stat.S_ISDIR(status.st_mode) and _exchangeable(status):
            return f"others may write {path} above it (mode {stat.S_IMODE(status.st_mode):o})"
    return None


def _above(path: str) -> Iterator[str]:
    """The folders above an absolute path."""
    while (above := os.path.dirname(path)) != path:
        yield above
        path = above


def _exchangeable(status: os.stat_result) -> bool:
    if status.st_mode & stat.S_ISVTX:
        return False
    own_group = status.st_gid == status.st_uid  # Debian gives every user a group of their own
    return bool(status.st_mode & (stat.S_IWOTH if own_group else _OTHERS))
