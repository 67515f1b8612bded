"""What is done with one input that a stranger made: a bundle, its record, a ``limpet.toml``.

Only errors of Limpet's own may come out, and nothing of theirs or of a report moves a cursor.
"""

from __future__ import annotations

import json
import re
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b

import limpet
from fuzz import bundles, edits
from limpet.audit import verify
from limpet.audit.against import changes
from limpet.audit.html import as_html
from limpet.audit.inspect import audit_bundle
from limpet.audit.model import Audit
from limpet.audit.recorded import recorded_rule
from limpet.audit.text import as_text
from limpet.errors import BadAnswer, LimpetError
from limpet.formats.bundle import read as bundle_file
from limpet.formats.bundle.read import BundleFile
from limpet.formats.bundle.record import read_record
from limpet.guests.inside import Inside
from limpet.loading.settings import read_settings
from limpet.running.debugging import packets
from limpet.running.debugging.about import About
from limpet.running.debugging.commands import Commands, Ordered
from limpet.running.debugging.files import Files
from limpet.running.debugging.guest import Guest
from limpet.running.frames import Gate, whole
from limpet.sandbox import answers as sandbox_answers
from limpet.sandbox.memory import Memory
from tests.support.still import StillMachine

SECONDS, MEMORY = 15, 1 << 30
"""Of the processor, and bytes, that one input may cost."""

LONG = 2000
"""Characters of an error's message."""

BUILT = 64
"""One in so many plans of hostile bundles is built."""


@contextmanager
def _budget(name: str = "fuzzed") -> Iterator[None]:
    """No input is dear, and no error of what is called ``name`` is anything but a clear line."""
    before, started = _peak(), time.process_time()
    try:
        yield
    except LimpetError as error:
        _check(error, name)
    spent, more = time.process_time() - started, _peak() - before
    assert spent < SECONDS, f"{spent:.0f} s for one input"
    assert more < MEMORY, f"{more} bytes of memory for one input"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _check(error: LimpetError, name: str) -> None:
    assert error.message and error.hint, f"an error without a message or a hint: {error!r}"
    said = error.message.replace(name, "")  # names are made plain where they are shown
    assert said.isprintable(), f"an error that moves the cursor: {error.message!r}"
    assert len(error.message) < LONG, f"an error of {len(error.message)} characters"


def record(data: bytes) -> None:
    """The text of a record, or one that was made and then edited."""
    if data[:1] < b"\x80":
        text = data[1:]
    else:
        known = json.loads(bundles.records()[data[0] % len(bundles.records())])
        for _, which, place, value in edits.edits(data):
            edits.edit_data(known, which, place, value)
        text = bundles.packed(known)
    with _budget():
        found = read_record(text, "fuzzed", "1.0")
        assert found.pack() == text, "read as something else"
        for each in found.filters.values():
            for rule in each.rules:
                recorded_rule(rule)


_REACHES_FURTHER = re.compile(
    r"@|-(o|M|X|T|B|Wl,|Wa,|Wp,|mllvm|fplugin|fpass|specs|wrapper|save|-save|dump|cc1|ftime"
    r"|fprofile|fcoverage|fcrash|fsave|serialize|-serialize|-config|fmodules|fuse|ccc|gsplit|x|-)"
)


def project(data: bytes) -> None:
    """The bytes of a ``limpet.toml``."""
    with _budget():
        found = read_settings(data, "limpet.toml")
        words = [*found.sources, *found.flags]
        assert found.sources and not any("\0" in each for each in (*words, found.root or ""))
        for each in words:
            assert not _REACHES_FURTHER.match(each), f"the flag {each!r} is let through"


def bundle(data: bytes) -> None:
    """A bundle that was made and then edited: ``audit --read-only``, and what ``verify`` reads."""
    which = data[0] % len(bundles.KINDS) if data else 0
    made = bundles.edited(data)
    found = None
    with _budget():
        found = bundle_file.parse(made, "fuzzed")
        _audited(found, bundles.audited(which))
    if found:
        with _budget(_guest_name(found)):
            _planned(found, data)


def _guest_name(found: BundleFile) -> str:
    try:
        return found.record.guest.name
    except LimpetError:
        return found.name


def _audited(found: BundleFile, before: Audit) -> None:
    audit = audit_bundle(found)
    for line in as_text(audit).split("\n"):
        assert line.isprintable(), f"a line that moves the cursor: {line!r}"
    for line in as_html(audit).split("\n"):
        assert line.isprintable(), f"a line of the page with controls: {line!r}"
    json.dumps(audit.as_data())
    changes(audit, before)
    changes(before, audit)


def _planned(found: BundleFile, data: bytes) -> None:
    options = verify.options(found)
    plan = limpet.plan(verify.taken_out(found), options)
    if blake2b(data, digest_size=1).digest()[0] % BUILT == 0:
        limpet.build(plan)


def answers(data: bytes) -> None:
    """What a sandbox sends: frames, what is read of each, and memory."""
    with _budget():
        reader = sandbox_answers.Reader()
        for frame in reader.feed(data):
            if isinstance(frame, sandbox_answers.MemoryFollows):
                Memory(1 << 16).take(bytes(reader.rest))
            elif isinstance(frame, sandbox_answers.Answer):
                with suppress(BadAnswer):
                    sandbox_answers.value_of(frame.value)
                sandbox_answers.plain_of(frame.value)


def gdb(data: bytes) -> None:
    """What a stranger sends in the place of a debugger: packets, and what each is answered."""
    guest = Guest(StillMachine(bytes(1 << 13)), Inside(0, None, 3, None), lambda: 0)
    files = Files({"/bin/it": b"content"}.get)
    commands = Commands(guest, About("/bin/it", files, [(9, 0x1000), (0, 0)]))
    with _budget():
        for message in packets.Reader().feed(data):
            if isinstance(message, packets.Packet):
                with suppress(Ordered):
                    assert len(commands.taken(message.data)) <= packets.MOST


GATEWAY = bytes([10, 0, 2, 2])


def frames(data: bytes) -> None:
    """Frames of a guest and of passt, each behind its direction and size; or what passt sends."""
    if data[:1] == b"w":
        with suppress(ConnectionError):
            found, rest = whole(data[1:])
            sent = b"".join(len(each).to_bytes(4, "big") + each for each in found)
            assert sent + rest == data[1:], "passt has sent something else"
        return
    gate, heard = Gate("10.0.2.2"), set[bytes]()
    while data:
        size = int.from_bytes(data[1:2], "big")
        inward, frame, data = data[0] & 1, data[2 : 2 + size], data[2 + size :]
        at = 14 + 4 * (frame[14] & 15) if len(frame) > 14 else 0
        if inward:
            gate.comes_in(frame)
            if frame[23:24] == b"\x11" and frame[26:30] == GATEWAY:
                heard.add(frame[at : at + 4])
        elif gate.lets_out(frame):
            assert _may_go(frame, at, heard), "a frame to the host itself"


def _may_go(frame: bytes, at: int, heard: set[bytes]) -> bool:
    """Said once more: what is no ARP goes to no loopback, and to the gateway only as an answer."""
    if frame[12:14] == b"\x08\x06":
        return True
    to, kind = frame[30:34], frame[23]
    if frame[12:14] != b"\x08\x00" or len(frame) < 34 or to[0] in (0, 127):
        return False
    if to != GATEWAY or kind not in (6, 17):
        return True
    if kind == 6:
        return len(frame) >= at + 14 and frame[at + 13] & 0x12 != 2
    ports = frame[at : at + 4]
    return ports[2:] + ports[:2] in heard or ports[2:] == bytes([0, 67])


RUNS: dict[str, Callable[[bytes], None]] = {
    "record": record,
    "project": project,
    "bundle": bundle,
    "answers": answers,
    "gdb": gdb,
    "frames": frames,
}
