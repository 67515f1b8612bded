"""Which frames of a guest go on to passt: none that would reach the host's loopback.

passt connects wherever a frame says: to 127.0.0.1 and 0.0.0.0, which are the host's own, and it
takes the gateway's address for the host.  Only replies may go there: to connections and datagrams
that came from the host through a forwarded port.  Seen with passt 2023-03-09; sources: RFC 791,
768 and 9293.  passt looks for ports and flags behind every IPv4 header, fragments included, so the
same is done here.
"""

from __future__ import annotations

import socket

from limpet.contract.limits import FRAME_MOST

_SIZE = 4
_ETHERNET, _IPV4_LEAST = 14, 20
_ARP, _IPV4 = b"\x08\x06", b"\x08\x00"
_TCP, _UDP = 6, 17
_SYN, _ACK = 0x02, 0x10
_DHCP_SERVER = 67
_OWN_NETWORKS = (0, 127)
"""First bytes of the addresses that a host takes for itself, whatever its interfaces."""
_MOST_HEARD = 4096


class Gate:
    """Remembers what came in, and lets out what may go."""

    def __init__(self, gateway: str) -> None:
        self._gateway = socket.inet_aton(gateway)
        self._heard: dict[
            tuple[bytes, bytes], None
        ] = {}  # ports of gateway and guest, oldest first

    def comes_in(self, frame: bytes) -> None:
        """Remember a datagram from the gateway, which the guest may answer."""
        at = _payload(frame)
        if at is None or frame[23] != _UDP or frame[26:30] != self._gateway:
            return
        pair = frame[at : at + 2], frame[at + 2 : at + 4]
        self._heard.pop(pair, None)
        self._heard[pair] = None
        if len(self._heard) > _MOST_HEARD:
            del self._heard[next(iter(self._heard))]

    def lets_out(self, frame: bytes) -> bool:
        """Whether passt may have a frame of the guest's."""
        if frame[12:14] == _ARP:
            return True
        at = _payload(frame)
        if at is None or frame[30] in _OWN_NETWORKS:
            return False
        return frame[30:34] != self._gateway or self._answers(frame, at)

    def _answers(self, frame: bytes, at: int) -> bool:
        """Of a frame to the gateway: whether it opens nothing new."""
        source, target = frame[at : at + 2], frame[at + 2 : at + 4]
        if frame[23] == _TCP:
            return len(frame) > at + 13 and frame[at + 13] & (_SYN | _ACK) != _SYN
        if frame[23] == _UDP:
            return (target, source) in self._heard or target == _DHCP_SERVER.to_bytes(2, "big")
        return True


def whole(received: bytes) -> tuple[list[bytes], bytes]:
    """The frames that are there as a whole, each behind its size as passt sends them; and the rest.

    Raises:
        ConnectionError: a size that no frame has: what follows is not to be told apart any more.
    """
    frames, at = [], 0
    while len(received) - at >= _SIZE:
        size = int.from_bytes(received[at : at + _SIZE], "big")
        if not 0 < size <= FRAME_MOST:
            raise ConnectionError(f"a frame of {size} bytes")
        if len(received) - at < _SIZE + size:
            break
        frames.append(received[at + _SIZE : at + _SIZE + size])
        at += _SIZE + size
    return frames, received[at:]


def _payload(frame: bytes) -> int | None:
    """Where what an IPv4 packet carries starts, ``None`` for any other frame."""
    if frame[12:14] != _IPV4 or len(frame) < _ETHERNET + _IPV4_LEAST:
        return None
    header = 4 * (frame[_ETHERNET] & 15)
    return _ETHERNET + header if header >= _IPV4_LEAST else None
