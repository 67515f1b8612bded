"""What a plan's rules allow, read from their declaration, and a program held against it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Pin
from limpet.planning.seccomp import Filter, Rule
from tests.support import bpf
from tests.support.bpf import ARCH, ARGUMENTS, NUMBER, POINTER, WORD, Path, Spans

X86_64 = 0xC000003E
MAX = 2**64 - 1


@dataclass(frozen=True)
class Disk:
    """What a start knows of a block device."""

    capacity: int
    sector: int = 512


@dataclass(frozen=True)
class Allowed:
    """One rule: what it asks of the whole system call."""

    number: int
    pointer: Spans
    arguments: Mapping[int, Spans]
    within: tuple[tuple[int, int], ...]  # (argument, capacity): it and the one before end there

    def takes(self, number: int, pointer: int, arguments: list[int]) -> bool:
        """Whether it allows this call."""
        return (
            number == self.number
            and _among(pointer, self.pointer)
            and all(_among(arguments[index], spans) for index, spans in self.arguments.items())
            and all(arguments[at - 1] + arguments[at] <= most for at, most in self.within)
        )


def _among(value: int, spans: Spans) -> bool:
    return any(low <= value <= high for low, high in spans)


@dataclass(frozen=True)
class Policy:
    """All rules of a filter, and its verdicts on everything else."""

    rules: tuple[Allowed, ...]
    stubs: Spans
    default: int

    def verdict(self, number: int, arch: int, pointer: int, arguments: list[int]) -> int:
        """What the rules say of one call."""
        if arch == X86_64:
            if any(rule.takes(number, pointer, arguments) for rule in self.rules):
                return bpf.ALLOW
            if _among(pointer, self.stubs):
                return bpf.KILL_PROCESS  # a stub put to another use
        return self.default


def policy(of: Filter, labels: Mapping[str, int], disks: Mapping[int, Disk]) -> Policy:
    """The rules of a filter whose stubs and disks are these."""
    stubs = tuple(
        (labels[label], labels[label]) for label in sorted({r.label for r in of.rules if r.label})
    )
    return Policy(tuple(_allowed(rule, of, labels, disks) for rule in of.rules), stubs, of.default)


def _allowed(
    rule: Rule, of: Filter, labels: Mapping[str, int], disks: Mapping[int, Disk]
) -> Allowed:
    half = rule.origin >> 32 << 32
    pointer = (labels[rule.label],) * 2 if rule.label else (half, half | WORD)
    arguments: dict[int, Spans] = {}
    within = []
    for pin in rule.pins:
        assert pin.index not in arguments and not pin.devices and not pin.more and not pin.capacity
        if pin.slot and pin.slot[0] == "within":
            within.append((pin.index, disks[pin.slot[1]].capacity))
        else:
            arguments[pin.index] = _spans(pin, of.guest, disks)
    return Allowed(NUMBERS[rule.call], (pointer,), arguments, tuple(within))


def _spans(pin: Pin, guest: tuple[int, int], disks: Mapping[int, Disk]) -> Spans:
    if pin.slot:
        disk = disks[pin.slot[1]]
        last = disk.capacity - disk.sector
        return {"sector": ((disk.sector, disk.sector),), "last": ((0, last),)}[pin.slot[0]]
    if pin.guest or pin.range:
        low, high = pin.range or guest
        return ((low, high - 1),)
    if pin.max is not None:
        return ((0, pin.max),)
    assert pin.values
    return tuple((value, value) for value in sorted(pin.values))


class Outside(AssertionError):
    """A program is not what the rules say."""


def prove(program: bpf.Program, expected: Policy) -> int:
    """Every path to ALLOW lies inside of one rule, every other outside of all; their number."""
    count = 0
    for path in bpf.paths(program):
        count += 1
        if path.verdict == bpf.ALLOW:
            if not any(_is_inside(path, rule) for rule in expected.rules):
                raise Outside(f"allowed, and in no rule: {path}")
            continue
        for rule in expected.rules:
            if not _is_outside(path, rule):
                raise Outside(f"refused, and perhaps in {rule}: {path}")
        if path.verdict != _refusal(path, expected):
            raise Outside(f"another verdict: {path}")
    return count


def _value(path: Path, word: int) -> tuple[Spans, Spans]:
    return path.spans[word + 1], path.spans[word]


def _refusal(path: Path, expected: Policy) -> int:
    x86_64 = bpf.common(path.spans[ARCH], ((X86_64, X86_64),))
    if not x86_64 or bpf.none_within(*_value(path, POINTER), expected.stubs):
        return expected.default
    if x86_64 == path.spans[ARCH] and bpf.all_within(*_value(path, POINTER), expected.stubs):
        return bpf.KILL_PROCESS
    raise Outside(f"one verdict for a stub and for others: {path}")


def _is_inside(path: Path, rule: Allowed) -> bool:
    return (
        path.spans[NUMBER] == ((rule.number, rule.number),)
        and path.spans[ARCH] == ((X86_64, X86_64),)
        and bpf.all_within(*_value(path, POINTER), rule.pointer)
        and all(
            bpf.all_within(*_value(path, ARGUMENTS + 2 * index), spans)
            for index, spans in rule.arguments.items()
        )
        and all(_end(path, at, most=True) <= capacity for at, capacity in rule.within)
    )


def _is_outside(path: Path, rule: Allowed) -> bool:
    return (
        not bpf.common(path.spans[NUMBER], ((rule.number, rule.number),))
        or not bpf.common(path.spans[ARCH], ((X86_64, X86_64),))
        or bpf.none_within(*_value(path, POINTER), rule.pointer)
        or any(
            bpf.none_within(*_value(path, ARGUMENTS + 2 * index), spans)
            for index, spans in rule.arguments.items()
        )
        or any(_end(path, at, most=False) > capacity for at, capacity in rule.within)
        or any(_is_no_page(word, rule) for word, whole in path.pages if not whole)
        or any(_is_another(each, rule) for each in path.apart)
    )


def _only(word: int, rule: Allowed) -> int | None:
    """The one value that the rule allows the lower half of an argument."""
    spans = rule.arguments.get((word - ARGUMENTS) // 2, ())
    one = len(spans) == 1 and spans[0][0] == spans[0][1] and (word - ARGUMENTS) % 2 == 0
    return spans[0][0] & WORD if one else None


def _is_no_page(word: int, rule: Allowed) -> bool:
    """Whether all that it allows there is whole pages, and what came is not."""
    only = _only(word, rule)
    return only is not None and only % (1 << bpf.PAGES) == 0


def _is_another(said: bpf.Together, rule: Allowed) -> bool:
    """Whether it allows nothing but these two, which did not come together."""
    first, second = _only(said.word, rule), _only(said.other, rule)
    return first is not None and second is not None and first | second >> bpf.PAGES == said.constant


def _end(path: Path, index: int, *, most: bool) -> int:
    """A bound of the sum of an argument and the one before it, on this path."""
    side = -1 if most else 0
    sizes, offsets = ARGUMENTS + 2 * index - 2, ARGUMENTS + 2 * index

    def edge(word: int) -> int:
        return path.spans[word][side][1 if most else 0]

    low = edge(offsets) + edge(sizes)
    for relation in path.relations:
        # offset > constant - size, or not, modulo 2**32; the size shows whether that borrows
        if (relation.left, relation.right, relation.holds) != (offsets, sizes, not most):
            continue
        least, greatest = path.spans[sizes][0][0], path.spans[sizes][-1][1]
        if greatest <= relation.constant:
            limit = relation.constant
        elif least > relation.constant:
            limit = relation.constant + 2**32
        else:
            raise Outside(f"a difference that may borrow and may not: {path}")
        low = min(low, limit) if most else max(low, limit + 1)
    return low + (edge(offsets + 1) + edge(sizes + 1) << 32)


def boundaries(rule: Allowed) -> Iterator[list[int]]:
    """Arguments at, below and above every end of what the rule asks, and as other widths."""
    within = {each for at, _ in rule.within for each in (at - 1, at)}
    indices = sorted(rule.arguments.keys() | within)
    choices = []
    for index in indices:
        ends = {end for span in rule.arguments.get(index, ((0, 0),)) for end in span}
        ends |= {most for at, most in rule.within if at == index}
        edges = {0, 2**31, 2**32, 2**63, MAX}
        for end in ends:
            edges |= {end - 1, end, end + 1, end + 2**32, end + 2**63, end - 2**32}
            edges.add(end | MAX ^ WORD)  # as if sign-extended
        if index + 1 in within:
            edges |= {1, 511, 4096}
        choices.append(sorted({edge % 2**64 for edge in edges}))
    inside = [spans[0] if (spans := rule.arguments.get(index)) else (0, 0) for index in indices]
    # all edges of one argument and the one before it, the others inside
    for position in range(max(len(indices), 1)):
        near = range(max(position - 1, 0), position + 1)
        picks = [choices[i] if i in near else [inside[i][0]] for i in range(len(indices))]
        for chosen in product(*picks):
            arguments = [0] * 6
            for index, value in zip(indices, chosen, strict=True):
                arguments[index] = value
            yield arguments
