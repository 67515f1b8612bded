"""Rootless networks: ``--net NAME=user`` joins a guest to the host's sockets by way of passt.

passt speaks Ethernet over a stream socket, each frame behind its length in four bytes; a guest
reads and writes one frame at a time.  A relay between the two keeps the frames apart and ends
with the guest.  The guest's address is 10.0.2.15/24, its gateway 10.0.2.2, also told by DHCP.

passt would connect the guest to services that listen on the host's loopback alone, by the gateway's
address and by 127.0.0.1 itself; :mod:`limpet.running.frames` lets no such frame through.  Forwarded
ports are open to the host itself unless ``-p`` names another of its addresses.
"""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
from collections.abc import Sequence
from typing import NoReturn

from limpet.contract.limits import FRAME_MOST, MTU_USUAL
from limpet.errors import HostError
from limpet.formats.ports import Port
from limpet.running.frames import Gate, whole
from limpet.running.walls import raise_walls

ADDRESS, GATEWAY, NETMASK, MTU = "10.0.2.15", "10.0.2.2", "24", str(MTU_USUAL)


def start(ports: Sequence[Port]) -> int:
    """Start passt and the relay; the descriptor of the guest's end, to be inherited.

    Args:
        ports: those to forward.

    Raises:
        HostError: passt is missing or does not start.
    """
    program = shutil.which("passt")
    if program is None:
        raise HostError(
            "a network of kind user needs passt, which is not installed",
            hint="apt-get install passt, or attach --net NAME=tap:INTERFACE",
        )
    forward = [word for port in ports for word in _forward(port)]
    guest, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        if os.fork() == 0:  # once more, so that the guest never has a child to wait for
            guest.close()
            os.close(told)
            _serve(program, forward, ours, tell)
        os._exit(0)
    os.waitpid(child, 0)
    ours.close()
    os.close(tell)
    with os.fdopen(told) as stream:
        problem = stream.read()
    if problem:
        raise HostError(
            f"passt does not start: {problem}",
            hint="check the ports, or attach --net NAME=tap:INTERFACE",
        )
    os.set_inheritable(guest.fileno(), True)
    return guest.detach()


def _serve(program: str, forward: Sequence[str], guest: socket.socket, tell: int) -> NoReturn:
    """Start passt, say whether that went well, and relay until the guest is gone."""
    wire, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    argv = [program, "-f", "-q", "-1", "-F", str(theirs.fileno()), "-m", MTU, "-a", ADDRESS]
    argv += ["-n", NETMASK, "-g", GATEWAY, "--ipv4-only", *forward]
    if "-u" not in forward:  # replies to the host's own datagrams go by the gateway
        argv.append("--no-map-gw")
    passt = subprocess.Popen(
        argv, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    theirs.close()
    problem = _problem(passt)
    raise_walls()
    os.write(tell, problem.encode())
    os.close(tell)
    _relay(guest, wire)
    wire.close()  # which ends passt; no signal of ours reaches it
    passt.wait()
    os._exit(0)


def _problem(passt: subprocess.Popen[bytes]) -> str:
    """What passt said if it ended within a moment: what it refuses, it refuses at once."""
    try:
        passt.wait(0.2)
    except subprocess.TimeoutExpired:
        return ""
    assert passt.stderr
    said = passt.stderr.read().decode(errors="replace").strip().splitlines()
    return said[-1] if said else f"it ended with status {passt.returncode}"


def _forward(port: Port) -> list[str]:
    """passt's words for one ``-p``."""
    return ["-u" if port.udp else "-t", f"{port.address}/{port.host}:{port.guest}"]


def _relay(guest: socket.socket, wire: socket.socket) -> None:
    """Carry frames until either side is gone; those that the gate refuses are lost."""
    buffer, gate = b"", Gate(GATEWAY)
    try:
        while True:
            ready, _, _ = select.select([guest, wire], [], [])
            if guest in ready:
                frame = guest.recv(FRAME_MOST)
                if not frame:
                    break
                if gate.lets_out(frame):
                    wire.sendall(len(frame).to_bytes(4, "big") + frame)
            if wire in ready:
                received = wire.recv(FRAME_MOST)
                if not received:
                    break
                buffer = _deliver(buffer + received, guest, gate)
    except (OSError, KeyboardInterrupt):
        pass


def _deliver(buffer: bytes, guest: socket.socket, gate: Gate) -> bytes:
    """Send every whole frame to the guest; what is left of ``buffer``."""
    frames, rest = whole(buffer)
    for each in frames:
        gate.comes_in(each)
        guest.send(each)
    return rest
