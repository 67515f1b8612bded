"""A guest's memory, seen from outside of its process; the monitor's own is nobody's to see."""

from __future__ import annotations

import os

from limpet.planning.regions import MONITOR_BASE
from limpet.running.cores import ptrace

_MONITORS_END = MONITOR_BASE + (16 << 20)
_HOSTS = 0x7000_0000_0000
"""From here on lie the host's stack and vDSO, where there are any."""

_WORD = 8


class Memory:
    """That of the process ``pid``, by its file where that can be opened, else word by word."""

    def __init__(self, pid: int, file: int | None = None) -> None:
        """``file`` is what ``/proc/PID/mem`` was opened as, and stays its opener's."""
        self._pid = pid
        if file is not None:
            self._file = file
            return
        try:
            self._file = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)
        except PermissionError:  # it may not be looked into any more, but by its tracer
            self._file = -1

    def close(self) -> None:
        """Close its file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def guests(self, address: int, size: int) -> int:
        """How many bytes of a run are not the monitor's or the host's."""
        if address < 0 or size <= 0 or MONITOR_BASE <= address < _MONITORS_END:
            return 0
        end = MONITOR_BASE if address < MONITOR_BASE else _HOSTS
        return max(0, min(size, end - address))

    def read(self, address: int, size: int) -> bytes:
        """What is there, whosever it is: less than ``size`` bytes, or none."""
        try:
            if self._file >= 0:
                return os.pread(self._file, size, address)
            return self._read_words(address, size)
        except (OSError, OverflowError):
            return b""

    def write(self, address: int, data: bytes) -> bool:
        """Change it, whatever its pages allow."""
        try:
            if self._file >= 0:
                return os.pwrite(self._file, data, address) == len(data)
            return self._write_words(address, data)
        except (OSError, OverflowError):
            return False

    def _read_words(self, address: int, size: int) -> bytes:
        low, found = address & -_WORD, bytearray()
        for at in range(low, address + size, _WORD):
            try:
                found += ptrace.peek(self._pid, at).to_bytes(_WORD, "little")
            except OSError:
                break
        return bytes(found[address - low :][:size])

    def _write_words(self, address: int, data: bytes) -> bool:
        low, end = address & -_WORD, -(-(address + len(data)) // _WORD) * _WORD
        whole = bytearray(self._read_words(low, end - low))
        if len(whole) < end - low:
            return False
        whole[address - low : address - low + len(data)] = data
        for at in range(0, len(whole), _WORD):
            word = int.from_bytes(whole[at : at + _WORD], "little")
            ptrace.poke(self._pid, low + at, word)
        return True
