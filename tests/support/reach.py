"""What compiled code of ours reaches: a graph from relocations, one section a function.

Direct calls and everything whose address is taken are exact, since every function and every
constant has a section of its own.  A call through a member of ``struct file_ops`` is told by the
member, so that only that member of the tables that can be there counts.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from limpet.arch.x86_64.decode import Instruction, Memory, Register, decode
from limpet.sources import GUEST_ROOT
from tests.support.loads import Loads

EXECUTABLE, WORD = 4, 8
_MEMBER = re.compile(r"\(\*(\w+)\)\(struct file|\(\*(\w+)\)\(const struct file")

Place = tuple[str, int]
"""A section: its object's name and its number there."""


def file_operations() -> tuple[str, ...]:
    """The members of ``struct file_ops``, in order: a pointer each."""
    text = (GUEST_ROOT / "parts" / "fd" / "fd.h").read_text(encoding="utf-8")
    body = text[text.index("struct file_ops {") :]
    return tuple(a or b for a, b in _MEMBER.findall(body[: body.index("};")]))


@dataclass(frozen=True)
class Section:
    """Code or data, and by offset what it names: a place in these objects, or a name outside."""

    name: str
    code: bytes  # empty for data
    targets: Mapping[int, Place | str]


@dataclass
class Reached:
    """What can be reached from some places."""

    sections: set[Place] = field(default_factory=set)
    outside: set[str] = field(default_factory=set)  # symbols of no object
    tables: set[str] = field(default_factory=set)  # kinds of file whose operations are named
    uses: set[str] = field(default_factory=set)  # operations of files that are called

    @property
    def hypercalls(self) -> set[str]:
        """Those whose gate is called."""
        gate = "hypercall_"
        return {name.removeprefix(gate) for name in self.outside if name.startswith(gate)}


class Objects:
    """Some object files, linked by name."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.sections: dict[Place, Section] = {}
        self.symbols: dict[str, Place] = {}
        self.tables: dict[Place, str] = {}
        self._operations = file_operations()
        self._uses: dict[Place, set[str]] = {}
        for path in paths:
            self._read(path)
        for place, section in list(self.sections.items()):
            linked = {at: self._linked(target) for at, target in section.targets.items()}
            self.sections[place] = Section(section.name, section.code, linked)

    def _linked(self, target: Place | str) -> Place | str:
        return self.symbols.get(target, target) if isinstance(target, str) else target

    def _read(self, path: Path) -> None:
        elf = ELFFile(io.BytesIO(path.read_bytes()))
        table = elf.get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection), path
        for symbol in table.iter_symbols():
            if not isinstance(symbol["st_shndx"], int):
                continue
            place = path.name, symbol["st_shndx"]
            if symbol["st_info"]["bind"] != "STB_LOCAL":
                self.symbols[symbol.name] = place
            if symbol.name.endswith("_ops"):
                self.tables[place] = symbol.name.removesuffix("_ops")
        targets: dict[int, dict[int, Place | str]] = {}
        for section in elf.iter_sections():
            if isinstance(section, RelocationSection):
                named = targets.setdefault(section["sh_info"], {})
                for each in section.iter_relocations():
                    symbol = table.get_symbol(each["r_info_sym"])
                    inside = isinstance(symbol["st_shndx"], int)
                    where = (path.name, symbol["st_shndx"]) if inside else symbol.name
                    named[each["r_offset"]] = where
        for index, section in enumerate(elf.iter_sections()):
            code = bytes(section.data()) if section["sh_flags"] & EXECUTABLE else b""
            self.sections[path.name, index] = Section(section.name, code, targets.get(index, {}))

    def section(self, name: str) -> Place:
        """The one section of that name."""
        (place,) = (at for at, section in self.sections.items() if section.name == name)
        return place

    def reached(self, *start: Place, without: Collection[str] = ()) -> Reached:
        """Everything that ``start`` leads to; tables of file operations are named, not entered.

        Args:
            without: names of sections that are not entered.
        """
        found = Reached()
        work = list(start)
        while work:
            place = work.pop()
            if place in found.sections or self.sections[place].name in without:
                continue
            if place in self.tables and place not in start:
                found.tables.add(self.tables[place])
                continue
            found.sections.add(place)
            section = self.sections[place]
            if place not in self._uses:
                self._uses[place] = self._called(section)
            found.uses |= self._uses[place]
            for target in section.targets.values():
                if isinstance(target, tuple):
                    work.append(target)
                elif target.endswith("_device_ops"):  # generated: the plan's devices of a kind
                    found.tables.add(target.removesuffix("_device_ops"))
                else:
                    found.outside.add(target)
        return found

    def function(self, name: str) -> Reached:
        """What a function leads to."""
        return self.reached(self.symbols[name])

    def operations(self) -> Mapping[str, Mapping[str, Reached]]:
        """What each operation of each kind of file leads to."""
        found: dict[str, dict[str, Reached]] = {}
        for place, kind in self.tables.items():
            targets = self.sections[place].targets
            entries = {at: to for at, to in targets.items() if isinstance(to, tuple)}
            assert len(entries) == len(targets), kind
            found[kind] = {
                self._operations[at // WORD]: self.reached(to) for at, to in entries.items()
            }
        return found

    def _called(self, section: Section) -> set[str]:
        """The operations of files that a function calls through a table."""
        if section.name == ".text.entry":  # assembly: to the program, or to start_program
            return set()
        code = Loads(instructions(section.code))
        found = set()
        for index, each in enumerate(code.instructions):
            target = each.operands[0] if each.operands else 0
            if each.mnemonic not in ("call", "jmp") or isinstance(target, int):
                continue
            known = {(target, index)} if isinstance(target, Memory) else code.of(target, index)
            for member, at in known:
                if self._is_operation(section, code, member, at):
                    found.add(self._operations[member.offset // WORD])
        return found

    @staticmethod
    def _is_operation(section: Section, code: Loads, member: Memory, index: int) -> bool:
        """Whether a pointer is called out of a file's table, not out of another structure.

        The table's address is the first member of ``struct file``, or is generated for a kind of
        device.  What is called out of a constant of ours, or out of a structure that its caller
        made, is followed from whoever named it.
        """
        if member.base in ("", "rsp"):
            return False
        assert not member.index and not member.offset % WORD, f"{section.name}: {member}"
        for table, at in code.of(Register(member.base, WORD), index):
            if table.base:
                assert table.base != "rsp" and not table.index, f"{section.name}: {table}"
                if table.offset == 0:
                    return True
                continue
            named = section.targets[code.instructions[at].end - 4]
            if isinstance(named, str) and named.endswith("_device_ops"):
                return True
        return False


def instructions(code: bytes) -> list[Instruction]:
    """All instructions of a function."""
    found, at = [], 0
    while at < len(code):
        each = decode(code[at : at + 15], at)
        assert each, f"no instruction at {at:#x}"
        found.append(each)
        at = each.end
    return found


_UNCERTAIN = ("call", "syscall")
"""After these RAX holds an answer."""


def system_calls(code: bytes) -> dict[int, int]:
    """The number of each SYSCALL of a function, by the offset behind it.

    Read straight through: our handlers set EAX by a constant shortly before.
    """
    found: dict[int, int] = {}
    constants: dict[str, int] = {}
    pushed: int | None = None
    for each in instructions(code):
        if each.mnemonic == "syscall":
            found[each.end] = constants["rax"]
        target = each.operands[0] if each.operands else None
        source = each.operands[-1] if each.operands else None
        value = source if isinstance(source, int) else None
        if each.mnemonic == "push":
            pushed = value
        elif isinstance(target, Register):
            constants.pop(target.name, None)
            same = each.mnemonic == "xor" and target == source
            known = {"mov": value, "xor": 0 if same else None, "pop": pushed}.get(each.mnemonic)
            if isinstance(source, Register) and each.mnemonic == "mov":
                known = constants.get(source.name)
            if known is not None:
                constants[target.name] = known
        if each.mnemonic in _UNCERTAIN:
            constants.pop("rax", None)
    return found
