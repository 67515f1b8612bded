"""The first inputs of the readers: ``python -m fuzz.seeds`` writes them into the corpora."""

from __future__ import annotations

import struct
from dataclasses import replace

from fuzz import CORPUS
from limpet.contract.limits import CONTRACT_VERSION
from limpet.formats.bundle.record import (
    Filter,
    Guest,
    Machine,
    Option,
    Part,
    Record,
    Rule,
    Template,
    Tree,
)
from limpet.formats.manifest import ENTRY, HEAD, RESERVED_FIRST
from limpet.loading.files import pack
from limpet.running.debugging import packets

LOAD, DYNAMIC, INTERP, NOTE, TLS = 1, 2, 3, 4, 7
SYSCALLS = (
    b"\xb8\x3c\x00\x00\x00\x0f\x05",  # mov $60, %eax; syscall
    b"\x31\xc0\x0f\x05\xc3",  # xor %eax, %eax; syscall; ret
    b"\x48\xc7\xc0\x01\x00\x00\x00\x0f\x05\x48\x3d\x01\xf0\xff\xff\x73\x01\xc3",
    b"\x89\xf8\x0f\x05\xc3",  # mov %edi, %eax; syscall; ret: unresolved
    b"\xbf\x02\x01\x00\x00\xb8\x9e\x00\x00\x00\x0f\x05\x0f\xa2\xc3",
)
RING_0 = (
    b"\xfa\xfb\xf4\x0f\x01\x17\x0f\x01\x1f\x0f\x00\xd8\x48\xcb\xc3",
    b"\x0f\x20\xd0\x0f\x22\xd8\xb9\x00\x01\x00\xc0\x0f\x30\x0f\x32\x8e\xd8\x8e\xc0",
    b"\x50\x48\x8d\x05\x02\x00\x00\x00\x50\x48\xcb\x90",
)


def note(kind: int, content: bytes) -> bytes:
    """A note of Solo5's."""
    return struct.pack("<III8s", 6, len(content), kind, b"Solo5\0") + content


def abi(target: int, version: int = 2) -> bytes:
    """What a unikernel is made for."""
    return note(0x31494241, struct.pack("<4I", target, version, 0, 0))


def devices(*names: tuple[bytes, int]) -> bytes:
    """A manifest."""
    entries = [(b"", RESERVED_FIRST), *names]
    rest = bytes(ENTRY.size - 72)
    body = HEAD.pack(1, len(entries))
    body += b"".join(struct.pack("<68sI", *entry) + rest for entry in entries)
    return note(0x3154464D, bytes(4) + body)


def elf(
    code: bytes, *notes: bytes, kind: int = 2, base: int = 0x400000, tls: bool = False
) -> bytes:
    """A program of one page of code and some data, smaller than a page in the file."""
    at = 0x180 + (-len(code) % 16)
    body = code.ljust(0x200, b"\x90")
    headers = [
        (LOAD, 5, 0, base, at + len(body), at + len(body)),
        (LOAD, 6, at, base + 0x2000 + at % 0x1000, 0x40, 0x2000),
    ]
    if tls:
        headers.append((TLS, 4, at, base + 0x2000 + at % 0x1000, 0x10, 0x20))
    for each in notes:
        headers.append((NOTE, 4, at + len(body), base + at, len(each), len(each)))
        body += each
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", kind, 62, 1, base + at, 64, 0, 0, 64, 56, len(headers), 64, 0, 0
    )
    for type_, flags, offset, address, in_file, in_memory in headers:
        head += struct.pack(
            "<IIQQQQQQ", type_, flags, offset, address, address, in_file, in_memory, 0x1000
        )
    return head.ljust(at, b"\0") + body


LOADER = "/lib/ld.so"


def shared(code: bytes, *entries: tuple[int, int], program: bool = False) -> bytes:
    """A shared object, or a program with :data:`LOADER`: code, then all that loaders read."""
    strings = b"\0libx.so\0liby.so\0$ORIGIN/..:/lib\0V_1\0fork\0"
    symbols = bytes(24) + struct.pack("<IBBHQQ", 0x25, 0x12, 0, 0, 0, 0)
    needs = struct.pack("<HHIII", 1, 1, 9, 16, 0) + struct.pack("<IHHII", 0, 0, 2, 0x21, 0)
    defines = struct.pack("<HHHHIII", 1, 0, 2, 1, 0, 20, 0) + struct.pack("<II", 0x21, 0)
    relocations = struct.pack("<QQq", 0x2400, 1 << 32 | 7, 0)
    at, places, body = 0x200, {}, b""
    texts = {"code": code, "strings": strings, "symbols": symbols, "needs": needs}
    texts |= {"defines": defines, "relocations": relocations, "loader": LOADER.encode() + b"\0"}
    for name, content in texts.items():
        places[name] = at + len(body)
        body += content.ljust(-(-len(content) // 16) * 16, b"\0")
    tags = [(5, places["strings"]), (10, len(strings)), (14, 1), (1, 9), (29, 17)]
    tags += [(6, places["symbols"]), (23, places["relocations"]), (2, 24)]
    tags += [(0x6FFFFFFE, places["needs"]), (0x6FFFFFFF, 1)]
    tags += [(0x6FFFFFFC, places["defines"]), (0x6FFFFFFD, 1), *entries, (0, 0)]
    table = b"".join(struct.pack("<QQ", *each) for each in tags)
    dynamic = at + len(body)
    end = dynamic + len(table)
    headers = [
        (LOAD, 5, 0, 0, dynamic, dynamic),
        (LOAD, 6, dynamic, 0x2000 + dynamic, len(table), 0x1000),
        (DYNAMIC, 6, dynamic, 0x2000 + dynamic, len(table), len(table)),
    ]
    if program:
        loader = places["loader"]
        headers.append((INTERP, 4, loader, loader, len(LOADER) + 1, len(LOADER) + 1))
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 3, 62, 1, places["code"], 64, 0, 0, 64, 56, len(headers), 64, 0, 0
    )
    for type_, flags, offset, address, in_file, in_memory in headers:
        head += struct.pack(
            "<IIQQQQQQ", type_, flags, offset, address, address, in_file, in_memory, 0x1000
        )
    return (head.ljust(at, b"\0") + body + table)[:end]


def sized(*parts: bytes) -> bytes:
    """As the target ``notes`` takes them."""
    return b"".join(struct.pack("<H", len(part)) + part for part in parts)


def records() -> list[Record]:
    """What bundles say of themselves: little, and everything that there can be."""
    guest = Guest("hello", "a" * 64, 600, ((0, 512, 0x400000), (512, 64, 0x402000)))
    parts = (
        Part("image0+monitor", 0x400000, 4096, 5, "b" * 64),
        Part("data", 0x402000, 8192, 6, "c" * 64),
    )
    write = Rule(
        "write",
        "console_out: output",
        "host_console_out_write",
        0x7000,
        {0: ((1, 2),), 2: ((0, 1 << 20),)},
        {},
    )
    held = Rule("pread64", "a read", "", 0, {0: ((4, 4),)}, {2: ("sector", 1), 3: ("within", 1)})
    template = Template(0x500000, 0x600000, ((3, 1, "capacity_low"), (9, 1, "sector")))
    options: dict[str, Option] = {
        "backends": ("kvm",),
        "memory": 1 << 20,
        "rewrite": True,
        "cpu": "v2",
        "environment": ("A=b", "HOME"),
    }
    small = Record(
        limpet="0.1.0",
        toolchain="ziglang 0.17.1",
        contract=CONTRACT_VERSION,
        guest=Guest("a", "0" * 64, 0, ()),
        options={},
        plan="d" * 64,
        hypercalls=(),
        system_calls=(),
        parts=parts[:1],
        filters={"process": Filter(0x80000000, (write,), None)},
        machine=None,
        ports=(),
        tree=None,
    )
    large = replace(
        small,
        guest=guest,
        options=options,
        hypercalls=("exit", "console_out"),
        system_calls=("write", "exit_group"),
        parts=parts,
        filters={"kvm": Filter(0x80000000, (write, held), template)},
        machine=Machine(3, False),
        ports=(0x500, 0x504),
        tree=Tree(0x402000, 4096, "e" * 64, "0123abcd" * 3),
    )
    return [small, large]


PROJECTS = (
    b'sources = ["main.c"]\n',
    b'sources = ["a.c", "b/c.S"]\nflags = ["-O2", "-Wall", "-I", "include"]\nroot = "tree"\n',
    b'flags = ["-DN=1", "-D", "M", "-march=x86-64-v3", "-fno-common", "-lm"]\nsources = ["a.c"]',
    b'sources = ["\\u0041.c"]\n[flags]\na = {b = 1979-05-27T07:32:00Z}\n[[x]]\ny = 0x1f\nz = 1e3',
    b'sources = ["@f"]',
    b'sources = ["a.c"]\nflags = ["-I", "@f"]',
    b'sources = ["a\\u0000.c"]',
    b"sources = " + b"[" * 3000,
    b'"\\u001b[2J\\n" = 1',
    b'sources = ["-MF", "@f"]\nflags = ["-Wl,-o,x", "-Xclang", "-fplugin=x", "-I", "@x", "-mllvm"]',
)


def seeds() -> dict[str, list[bytes]]:
    """For each reader."""
    both = devices((b"storage", 1), (b"service", 2))
    found = {
        "elf": [elf(code) for code in SYSCALLS],
        "notes": [sized(abi(1), both, b"block:data\0net:wire") + code for code in RING_0],
        "tree": [b"\0" + b"\0" * 64, b"\xff" + bytes(range(200)), b"\x80" + b"\3\0\7\2ab" * 20],
    }
    found["elf"] += [elf(b"".join(SYSCALLS), tls=True), elf(SYSCALLS[0], kind=3, base=0)]
    found["elf"] += [elf(code, abi(1), devices(), base=0x100000) for code in RING_0]
    found["elf"] += [elf(SYSCALLS[4], abi(2, 1), devices((b"a", 1)), base=0x100000)]
    found["dynamic"] = [shared(code) for code in SYSCALLS]
    found["dynamic"] += [shared(SYSCALLS[0], each) for each in ((15, 17), (22, 0), (30, 4))]
    found["dynamic"] += [shared(b"\xc3", (0x6FFFFFFB, 0x08000000)), shared(b"\xc3", program=True)]
    found["notes"] += [sized(abi(2, 1), devices(), b"net:" + b"x" * 16) + b"\x90"]
    found["tree"] += [b"\0" + pack(None, {"/a/b": CORPUS.parent / "__init__.py"}).data]
    found["record"] = [b"\0" + each.pack() for each in records()]
    found["record"] += [bytes([0x80 + each]) for each in range(4)]
    found["project"] = list(PROJECTS)
    found["gdb"] = [b"+" + packets.packed(packets.escaped(each)) for each in PACKETS]
    found["frames"] = list(WAYS)
    found["answers"] = [_frames(*each) for each in ANSWERS]
    pieces = struct.pack("<QQ2sQQQQ", 4096, 2, b"ab", 8192, 1 << 63 | 4096, 0, 0)
    found["answers"].append(_frames(b"m", "") + pieces + _frames(b"o", "behind"))
    found["bundle"] = [bytes([kind, last]) for kind in range(6) for last in (0, 3)]
    return found


PACKETS = (
    *(b"qSupported:swbreak+", b"?", b"g", b"m10,20", b"M10,2:aabb", b"X10,2:\xcc}", b"p10"),
    *(b"P10=1122334455667788", b"Z0,10,1", b"z0,10,1", b"Z2,10,8", b"vCont;s:1;c", b"vCont;r1,2:1"),
    *(b"vCont;C1e:1;c", b"Hg1", b"T1", b"qXfer:features:read:target.xml:0,fff", b"qfThreadInfo"),
    *(b"qXfer:threads:read::0,100", b"qXfer:auxv:read::0,100", b"qGetTLSAddr:1,0,0"),
    *(b"QPassSignals:e;10;14", b"vFile:open:2f62696e2f6974,0,0", b"vFile:pread:3,10,0", b"vKill;1"),
)
"""Of gdb to its stub."""

ANSWERS = (
    (b"o", "text"),
    (b"a", '{"id":1,"ok":{"text":"1","data":{"$":["tuple",[1,{"a":null}]]},"mime":{}}}'),
    (b"a", '{"id":1,"ok":{"text":"x","mime":{"image/png":"cG5n"}}}'),
    (b"a", '{"id":1,"ok":{"$":["dict",[[1,{"$":["int","0x1f"]}],[{"$":["float","nan"]},1.5]]]}}'),
    (b"a", '{"id":1,"ok":{"$":["set",[{"$":["bytes","AA=="]},{"$":["complex",[1.0,2.0]]}]]}}'),
    (b"a", '{"id":2,"exit":3}'),
    (b"a", '{"id":2,"raised":{"type":"ValueError","message":"no","traceback":"..."}}'),
    (b"c", '{"id":2,"tool":"search","arguments":[["a"],{"most":3}]}'),
)


def ipv4(
    kind: int, source: bytes, to: bytes, ports: bytes, flags: int = 2, words: int = 5
) -> bytes:
    """An Ethernet frame with a packet."""
    head = bytes([0x40 | words, 0, 0, 40, 0, 0, 0, 0, 64, kind, 0, 0]) + source + to
    body = ports + bytes(9) + bytes([flags]) + bytes(6)
    return bytes(12) + b"\x08\x00" + head + bytes(4 * max(words - 5, 0)) + body


def _way(inward: bool, frame: bytes) -> bytes:
    return bytes([inward, len(frame)]) + frame


_GUEST, _GATEWAY, _PORTS = bytes([10, 0, 2, 15]), bytes([10, 0, 2, 2]), b"\x12\x34\x00\x35"
WAYS = (
    _way(False, ipv4(6, _GUEST, _GATEWAY, _PORTS)),
    _way(False, ipv4(6, _GUEST, _GATEWAY, _PORTS, 0x12)),
    _way(False, ipv4(6, _GUEST, bytes([127, 0, 0, 1]), _PORTS)),
    _way(False, ipv4(17, _GUEST, _GATEWAY, _PORTS)),
    _way(True, ipv4(17, _GATEWAY, _GUEST, _PORTS[2:] + _PORTS[:2]))
    + _way(False, ipv4(17, _GUEST, _GATEWAY, _PORTS)),
    _way(False, ipv4(17, _GUEST, _GATEWAY, b"\0\x44\0\x43")),
    _way(False, ipv4(6, _GUEST, _GATEWAY, _PORTS, words=15)),
    _way(False, bytes(12) + b"\x08\x06" + bytes(28)),
    b"w" + b"\0\0\0\x03abc\0\0\0\x01d\0\0\0\x09x",
    b"w" + b"\0\0\0\0",
    b"w" + b"\xff\xff\xff\xffx",
)
"""Of a guest on passt's network."""


def _frames(kind: bytes, text: str) -> bytes:
    return kind + len(text).to_bytes(4, "little") + text.encode()


def main() -> None:
    """Write them."""
    for target, inputs in seeds().items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for index, content in enumerate(inputs):
            (folder / f"seed{index}").write_bytes(content)


if __name__ == "__main__":
    main()
