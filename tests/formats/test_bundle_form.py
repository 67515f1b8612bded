"""A bundle has one form: whatever ``execve`` could see that a reader does not is refused."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from limpet import load
from limpet.contract import Backend
from limpet.contract.pages import LARGE_PAGE, PAGE
from limpet.errors import BundleError, ImageError
from limpet.formats import elf
from limpet.formats.bundle.read import BundleFile, is_bundle, parse, taken_apart
from limpet.formats.bundle.record import read_record
from limpet.formats.bundle.write import (
    GUEST_SECTION,
    MAX_SEGMENTS,
    RECORD_SECTION,
    Load,
    arranged,
    write,
)
from tests.support.bundles import Maker

SMALL = "int main(void) { return 0; }"
PT_DYNAMIC, PT_INTERP = 2, 3

Change = Callable[[bytearray, BundleFile], None]


@pytest.fixture
def bundle(make: Maker, backend: Backend) -> BundleFile:
    """A small one."""
    path = make(make.compile(SMALL, "small"), backend).path
    return parse(path.read_bytes(), "small")


@pytest.mark.parametrize(("zeros", "there"), [(0, 32), (8, 40), (9, 32)])
def test_few_zeros_behind_much_are_in_the_file(zeros: int, there: int) -> None:
    """Of what can be written: the kernel maps its own apart."""
    content = b"x" * 32 * PAGE
    load = Load("data", LARGE_PAGE, (32 + zeros) * PAGE, content, elf.PF_R | elf.PF_W)
    (found,) = arranged([load])
    assert found.content == content.ljust(there * PAGE, b"\0")
    assert arranged([found]) == [found]


def test_neighbours_are_one_with_the_zeros_behind_them() -> None:
    """However much of these belonged to the last: what was put together stays so."""
    flags = elf.PF_R | elf.PF_W
    first = Load("first", LARGE_PAGE, 40 * PAGE, b"x" * 40 * PAGE, flags)
    behind = Load("behind", first.address + first.size, 3 * PAGE, b"y" * PAGE, flags)
    third = Load("third", behind.address + behind.size, PAGE, b"z", flags)
    (found,) = arranged([third, behind, first])
    assert found.content == first.content + b"y" * PAGE + bytes(2 * PAGE) + b"z".ljust(PAGE, b"\0")
    assert arranged([found]) == [found]


def _headers(data: bytearray) -> range:
    (count,) = struct.unpack_from("<H", data, 56)
    return range(elf.HEADER_SIZE, elf.HEADER_SIZE + count * elf.PROGRAM_SIZE, elf.PROGRAM_SIZE)


def _stack_as(kind: int) -> Change:
    def change(data: bytearray, _: BundleFile) -> None:
        struct.pack_into("<I", data, _headers(data)[-1], kind)

    return change


def _executable_stack(data: bytearray, _: BundleFile) -> None:
    struct.pack_into("<I", data, _headers(data)[-1] + 4, 7)


def _one_more(kind: int, flags: int, address: int, size: int) -> Change:
    """One more program header, in the room behind the others."""

    def change(data: bytearray, bundle: BundleFile) -> None:
        rows = _headers(data)
        at = address or bundle.monitor.address
        row = struct.pack("<IIQQQQQQ", kind, flags, 4096, at, at, size, size, 4096)
        data[rows.stop : rows.stop + len(row)] = row
        struct.pack_into("<H", data, 56, len(rows) + 1)

    return change


def _over_the_monitor(data: bytearray, bundle: BundleFile) -> None:
    """The segment before the monitor reaches into its page, so that the later mapping counts."""
    for at in _headers(data):
        address, size = struct.unpack_from("<Q16xQ", data, at + 16)
        if address != bundle.monitor.address and address:
            struct.pack_into("<Q", data, at + 40, bundle.monitor.address + 4096 - address)
            struct.pack_into("<Q", data, at + 32, size)
            return


def _monitor_in_the_middle_of_a_page(data: bytearray, bundle: BundleFile) -> None:
    for at in _headers(data):
        if struct.unpack_from("<Q", data, at + 16)[0] == bundle.monitor.address:
            struct.pack_into("<Q", data, at + 16, bundle.monitor.address + 16)


def _order_turned_around(data: bytearray, _: BundleFile) -> None:
    first, second = _headers(data)[0], _headers(data)[1]
    size = elf.PROGRAM_SIZE
    one, other = data[first : first + size], data[second : second + size]
    data[first : first + size], data[second : second + size] = other, one


def _trailing_byte(data: bytearray, _: BundleFile) -> None:
    data += b"\0"


def _between_headers(data: bytearray, _: BundleFile) -> None:
    data[_headers(data).stop + 200] = 1


def _flags_of_the_file(data: bytearray, _: BundleFile) -> None:
    data[48] = 1


def _physical_address(data: bytearray, _: BundleFile) -> None:
    data[_headers(data)[0] + 24] ^= 1


def _system_of_the_file(data: bytearray, _: BundleFile) -> None:
    data[7] = 3


@pytest.mark.parametrize(
    "change",
    [
        _stack_as(PT_INTERP),
        _stack_as(PT_DYNAMIC),
        _stack_as(0),
        _executable_stack,
        _one_more(elf.PT_GNU_STACK, 7, 0, 0),
        _one_more(PT_INTERP, 4, 0, 64),
        _one_more(PT_DYNAMIC, 6, 0, 64),
        _one_more(elf.PT_LOAD, 5, 0, 4096),
        _one_more(elf.PT_LOAD, 7, 0x10000, 4096),
        _over_the_monitor,
        _monitor_in_the_middle_of_a_page,
        _order_turned_around,
        _trailing_byte,
        _between_headers,
        _flags_of_the_file,
        _physical_address,
        _system_of_the_file,
    ],
)
def test_other_forms_are_refused(bundle: BundleFile, change: Change) -> None:
    """Interpreters, second stacks, overlaps, stray bytes: none of them is a bundle."""
    data = bytearray(bundle.data)
    change(data, bundle)
    assert bytes(data) != bundle.data
    with pytest.raises(BundleError):
        parse(bytes(data), "changed")


def test_every_header_byte_counts(bundle: BundleFile) -> None:
    """No byte of the headers or of the section table can be another and mean the same."""
    first = min(part.offset for part in bundle.parts)
    end = max(offset + size for _, offset, size in bundle.sections)
    places = [*range(0, 64 + 56 * 8), *range(64 + 56 * 8, first, 97), *range(end, len(bundle.data))]
    for at in places:
        data = bytearray(bundle.data)
        data[at] ^= 0x55
        try:
            read = parse(bytes(data), "changed")
        except BundleError:
            continue
        # What may differ is said by the reader: the entry point, a segment's rights or name.
        seen = (read.entry, read.parts, [name for name, _, _ in read.sections])
        assert seen != (bundle.entry, bundle.parts, [n for n, _, _ in bundle.sections]), hex(at)


def _with_record(bundle: BundleFile, text: bytes) -> bytes:
    loads = [
        Load(part.name, part.address, part.memory_size, bundle.content(part), part.flags)
        for part in bundle.parts
    ]
    return write(bundle.entry, loads, text, bundle.section(GUEST_SECTION) or b"")


def test_record_has_one_form(bundle: BundleFile) -> None:
    """White space, double keys, escapes, unknown members: the same data written otherwise."""
    text = bundle.section(RECORD_SECTION)
    assert text
    known = json.loads(text)
    others = [
        json.dumps(known).encode(),
        text.replace(b'"limpet":', b'"limpet":"9.9.9","limpet":', 1),
        text.replace(b'"guest":', b'"\\u0067uest":', 1),
        json.dumps(known | {"more": 1}, sort_keys=True, separators=(",", ":")).encode(),
        b" " + text,
        text + b"\n",
    ]
    for other in others:
        assert parse(_with_record(bundle, text), "same").record == bundle.record
        with pytest.raises(BundleError, match="its record is damaged"):
            _ = parse(_with_record(bundle, other), "changed").record


def _rule(**changed: object) -> dict[str, object]:
    """Filters with one rule, some of it otherwise."""
    rule = {"call": "write", "why": "", "stub": "", "half": 0, "arguments": {"0": [[1, 2]]}}
    return {"process": {"default": 0, "rules": [rule | changed]}}


HOSTILE_WORDS = [
    (["filters"], _rule(arguments={"0": []})),
    (["filters"], _rule(arguments={"0": [[2, 1]]})),
    (["filters"], _rule(arguments={"6": [[1, 2]]})),
    (["filters"], _rule(slots={"0": ["within", 1]})),
    (["filters"], _rule(slots={"3": ["beyond", 1]})),
    (["guest", "name"], "../../etc/passwd"),
    (["guest", "name"], ""),
    (["limpet"], "0.1.0\x1b[31m"),
    (["toolchain"], "ziglang 1; rm -rf /"),
    (["hypercalls"], ['exit"); evil("']),
    (["system_calls"], ["read\n"]),
    (["plan"], "0" * 63),
    (["ports"], [65536]),
    (["ports"], [-1]),
    (["ports"], [1280.0]),
    (["guest", "size"], True),
    (["guest", "runs"], [[0, 1]]),
    (["parts"], "none"),
    (["options"], {"environment": ["A\0B"]}),
    (["options"], {"environment": [1]}),
    (["options"], {"memory": 1 << 70}),
]


@pytest.mark.parametrize(("where", "what"), HOSTILE_WORDS)
def test_record_grammar(bundle: BundleFile, where: list[str], what: object) -> None:
    """Every string has a grammar, every number a range."""
    known = json.loads(bundle.section(RECORD_SECTION) or b"")
    inner = known
    for name in where[:-1]:
        inner = inner[name]
    inner[where[-1]] = what
    text = json.dumps(known, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(BundleError, match="its record is damaged") as error:
        read_record(text, "hostile", "0.1.0")
    assert error.value.message.isprintable()


def test_rules_are_read(bundle: BundleFile) -> None:
    """What the hostile ones start from is fine."""
    known = json.loads(bundle.section(RECORD_SECTION) or b"")
    known["filters"] = _rule(slots={"3": ["within", 1]})
    text = json.dumps(known, sort_keys=True, separators=(",", ":")).encode()
    (rule,) = read_record(text, "fine", "0.1.0").filters["process"].rules
    assert rule.arguments == {0: ((1, 2),)} and rule.slots == {3: ("within", 1)}


def test_a_deep_record_is_refused() -> None:
    """Nesting without end ends in the same error."""
    with pytest.raises(BundleError, match="its record is damaged"):
        read_record(b"[" * 100_000, "deep", "0.1.0")


def test_names_of_variables_stay_data(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """A variable's name that would be C is bytes, and passes its value."""
    name = 'A"\n#error evil\n"\\'
    program = make.compile(
        "#include <stdio.h>\nint main(int c, char **v, char **e)"
        "{ for (; *e; e++) puts(*e); return 0; }",
        "environment",
    )
    made = make(program, backend, environment=(name,))
    done = subprocess.run([made.path], env={name: "x"}, capture_output=True, check=False)
    assert done.stdout.decode() == f"{name}=x\n", done.stderr


ENDS = bytes.fromhex("b83c000000 31ff 0f05")
"""mov $60, %eax; xor %edi, %edi; syscall: exit(0)."""


def _segments(count: int) -> list[Load]:
    at = [0x10000 + number * 0x2000 for number in range(count)]
    return [Load("a", each, 0x1000, ENDS.ljust(0x1000, b"\0"), elf.PF_R | elf.PF_X) for each in at]


def test_large_pages_of_the_file() -> None:
    """What is only read and large lies as in memory; what is in it stands there once."""
    large = bytes(range(1, 256)) * (5 << 20 >> 8)
    large = large.ljust(6 << 20, b"x")
    loads = [
        Load("inner", 0x10000, 0x2000, large[0x3000:0x5000], elf.PF_R),
        Load("data", 0x400000, 6 << 20, large, elf.PF_R | elf.PF_W),
        Load("code", 0xC03000, 6 << 20, large, elf.PF_R | elf.PF_X),
        Load("last", 0x2000000, 0x1000, b"y" * 0x1000, elf.PF_R),
    ]
    data = write(0xC03000, loads, b"")
    offsets = {}
    for at in _headers(bytearray(data))[:-1]:
        offset, address, _, size = struct.unpack_from("<4Q", data, at + 8)
        offsets[address] = offset
        assert (
            data[offset : offset + size] == next(x for x in loads if x.address == address).content
        )
    assert (offsets[0xC03000] - 0xC03000) % LARGE_PAGE == 0
    assert offsets[0x10000] == offsets[0xC03000] + 0x3000
    assert len(data) < (12 << 20) + LARGE_PAGE + 0x8000


def test_code_in_large_pages_of_a_process() -> None:
    """It lies as in memory, by itself: what of it stands elsewhere does not fit there."""
    piece = bytes(range(1, 256)) * (3 << 20 >> 8)
    piece = piece.ljust(3 << 20, b"x")
    for flags, fits in ((elf.PF_R | elf.PF_X, True), (elf.PF_R, False)):
        loads = [
            Load("code", 0x400000, len(piece), piece, flags),
            Load("files", 0x2001000, 7 << 20, bytes(PAGE) + piece.ljust((7 << 20) - PAGE), 4),
        ]
        code, files = parse_parts(loads)
        assert ((code - 0x400000) % LARGE_PAGE == 0) == fits
        assert (code == files + PAGE) == (not fits)
        assert (files - 0x2001000) % LARGE_PAGE == 0
    small = Load("code", 0x402000, 3 << 20, piece, elf.PF_R | elf.PF_X)
    assert parse_parts([small]) == [PAGE]  # no whole large page is in it


def parse_parts(loads: list[Load]) -> list[int]:
    """Where the segments of such a bundle lie in its file."""
    data = write(loads[0].address, loads, b"")
    return [each.offset for each in taken_apart(data, "made").parts]


def test_as_many_segments_as_linux_loads(tmp_path: Path) -> None:
    """The bound is Linux's: what it does not start is not read either."""
    program = tmp_path / "program"
    program.touch(0o700)
    program.write_bytes(write(0x10000, _segments(MAX_SEGMENTS - 1), b""))
    assert subprocess.run([program], check=False).returncode == 0
    assert len(parse(program.read_bytes(), "program").parts) >= MAX_SEGMENTS - 1
    program.write_bytes(write(0x10000, _segments(MAX_SEGMENTS), b""))
    with pytest.raises(OSError, match="Exec format error"):
        subprocess.run([program], check=False)
    with pytest.raises(BundleError, match="header tables are damaged"):
        parse(program.read_bytes(), "program")


def test_a_bundle_is_no_guest(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """Who gives one in the place of a program is told what it is; what is cut off is none."""
    made = make(make.compile(SMALL, "small"), backend)
    with pytest.raises(ImageError, match="a bundle, which has its guest inside already") as raised:
        load(made.path)
    assert f"limpet audit {made.path}" in str(raised.value.hint)
    data, cut = made.path.read_bytes(), tmp_path / "cut"
    for size in (0, 3, 64, len(data) // 2, len(data) - 64):
        cut.write_bytes(data[:size])
        assert not is_bundle(cut)
    assert not is_bundle(tmp_path)
    assert not is_bundle(tmp_path / "missing")
