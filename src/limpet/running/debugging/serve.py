"""A bundle run under a debugger's eyes, or shown to one while it runs."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from limpet.contract.limits import SIGNAL_STATUS
from limpet.guests.inside import Inside
from limpet.running.cores import ptrace
from limpet.running.debugging.about import About
from limpet.running.debugging.guest import Guest, Report
from limpet.running.debugging.machine import Machine
from limpet.running.debugging.places import Place, Standard, listening
from limpet.running.debugging.process import ProcessMachine
from limpet.running.debugging.processes import Processes, started
from limpet.running.debugging.session import End, Session, SocketStream, StandardStream, Stream
from limpet.running.debugging.virtual import VirtualMachine


@dataclass(frozen=True)
class Debugged:
    """A bundle, and what its debugger is told.

    ``vectors`` are the bytes of vector registers that KVM may be asked for.
    """

    path: Path
    argv: Sequence[str]
    inside: Inside
    about: About
    vectors: int


def run(what: Debugged, place: Place, said: Callable[[str], None]) -> int:
    """Start a bundle, stop before its first instruction, and serve debuggers until it ends.

    Args:
        place: where they connect.
        said: is told where that is, and what becomes of a debugger.

    Returns:
        Its exit status, 128 + N for signal N.

    Raises:
        RunError: it cannot be started, or there is no such place.
        HostError: this host does not let a process look into its child.
    """
    if isinstance(place, Standard):
        with started(what.path, what.argv, standard=True) as processes:
            return _exit_code(_Served(what, processes, said).over(StandardStream()))
    with (
        listening(place) as (listener, name),
        started(what.path, what.argv, standard=False) as processes,
    ):
        said(f"waits for a debugger: gdb -ex 'target remote {name}'")
        return _exit_code(_Served(what, processes, said).at(listener))


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else SIGNAL_STATUS - code


class _Listener:
    """Waits for somebody to connect."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.connected: socket.socket | None = None

    def fileno(self) -> int:
        return self._listener.fileno()

    def heard(self) -> bool:
        with suppress(BlockingIOError, ConnectionError):
            self.connected, _ = self._listener.accept()
        return self.connected is not None


class _Served:
    """One bundle and its debuggers, one after the other."""

    def __init__(self, what: Debugged, processes: Processes, said: Callable[[str], None]) -> None:
        self._what, self._processes, self._said = what, processes, said
        self._session: Session | None = None
        self._about = what.about

    def over(self, stream: Stream) -> int:
        """One debugger, from the start."""
        machine = self._found()
        if machine is None:
            return self._processes.rest()
        guest = self._guest(machine)
        end = self._served(stream, guest, guest.to_start())
        guest.leave()
        if end is End.DETACHED:
            self._alone(None)
        elif end is not End.ENDED:
            if end is not End.KILLED:
                self._said("the debugger is gone: its guest was ended, since nobody else can come")
            end = End.KILLED
        return self._ended(end)

    def at(self, listener: socket.socket) -> int:
        """All that connect."""
        machine = self._found()
        if machine is None:
            return self._processes.rest()
        guest = self._guest(machine)
        report, waiting = guest.to_start(), _Listener(listener)
        end = End.STRANGER
        while report.status is None and end is End.STRANGER:
            if number := self._processes.ending(waiting):
                self._ended(End.KILLED)
                return number
            end = self._serve(waiting, guest, report)
            waiting = _Listener(listener)
        guest.leave()
        while end in (End.DETACHED, End.LOST, End.STRANGER) and self._alone(waiting):
            self._about = replace(self._about, attached=True)
            guest, report = self._again(machine)
            end = self._serve(waiting, guest, report)
            guest.leave()
            waiting = _Listener(listener)
        return self._ended(end)

    def _ended(self, end: End) -> int:
        if end is End.KILLED:
            self._processes.end()
        return self._processes.rest()

    def _found(self) -> Machine | None:
        found = self._processes.find(self._what.inside.first)
        if found is None:
            return None
        if not found.kvm:
            library = self._what.inside.library is not None
            return ProcessMachine(found.pid, found.memory, own_signals=library)
        machine = VirtualMachine(found.pid, found.memory, vectors=self._what.vectors)
        machine.taken_over()
        return machine

    def _guest(self, machine: Machine) -> Guest:
        return Guest(machine, self._what.inside, self._wait)

    def _again(self, machine: Machine) -> tuple[Guest, Report]:
        """The guest that runs stops for a debugger."""
        machine.interrupt()
        while (status := self._wait()) is not None and os.WIFSTOPPED(status):
            if machine.stopped(status):
                machine.enter()
                guest = self._guest(machine)
                return guest, guest.settled()
        return self._guest(machine), Report(status=status or 0)

    def _wait(self) -> int | None:
        return self._processes.next(self._session)

    def _serve(self, waiting: _Listener, guest: Guest, report: Report) -> End:
        assert waiting.connected, "it has heard of one"
        with waiting.connected as connected:
            end = self._served(SocketStream(connected), guest, report)
        if end is End.STRANGER:
            self._said("what came was no debugger: it was sent away")
        return end

    def _served(self, stream: Stream, guest: Guest, report: Report) -> End:
        self._session = Session(stream, guest, self._about, report)
        try:
            return self._session.serve()
        finally:
            self._session = None

    def _alone(self, waiting: _Listener | None) -> bool:
        """The guest goes on until somebody connects; false: until it has ended."""
        pid = self._processes.guest
        with suppress(ProcessLookupError):
            ptrace.request(ptrace.CONT, pid)
        while (status := self._processes.next(waiting)) is not None:
            if not os.WIFSTOPPED(status):
                return False
            number, event = status >> 8 & 0xFF, status >> 16
            with suppress(ProcessLookupError):
                ptrace.request(ptrace.CONT, pid, 0, 0 if event else number)
        return True
