"""What a module of a suite came to, and what is different here from Linux."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

_FAILED = re.compile(r"^(?:ERROR|FAIL): (.+)$", re.M)
_LEFT_OUT = re.compile(r"^ *(\w+ \([\w.]+\))(?:\n.*)?? \.\.\. (?:.* )?skipped ['\"]", re.M)
_NAMED = re.compile(r"(\w+) \(([\w.]+)\)")


@dataclass(frozen=True)
class Outcome:
    """How one module ended: ``failed`` has its tests by name, ``ended`` whether it came that far.

    ``passed`` is whether everything in it did, and ``skipped`` whether it said that it cannot run;
    ``left_out`` has those of its tests that said so.
    """

    module: str
    ended: bool
    passed: bool
    skipped: bool
    failed: frozenset[str]
    seconds: float
    left_out: frozenset[str] = frozenset()

    def covers(self, test: str) -> bool:
        """Whether ``test`` failed or was left out, or what has to be done before it."""
        group = test.rpartition(".")[0]
        before = {test, f"{group}.setUpClass", f"{self.module}.setUpModule"}
        return bool(before & (self.failed | self.left_out))


def read_outcome(module: str, text: str, seconds: float) -> Outcome:
    """The outcome that regrtest's ``text`` tells, run with ``-v``."""
    result = re.search(r"^Tests result: (\w+)", text, re.M)
    failed = frozenset(_name(each, module) for each in _FAILED.findall(text))
    skipped = bool(re.search(r"^1 test skipped:", text, re.M))
    passed = bool(result and result[1] == "SUCCESS" and not skipped)
    left_out = frozenset(_name(each, module) for each in _LEFT_OUT.findall(text))
    return Outcome(module, result is not None, passed, skipped, failed, seconds, left_out)


def _name(said: str, module: str) -> str:
    """``test_x (test.test_mod.Class.test_x)`` as ``test_mod.Class.test_x``."""
    match = _NAMED.search(said)
    if match is None:
        return f"{module}.{said.split(maxsplit=1)[0]}"
    found = match[2].removeprefix("test.")
    return found if found.endswith(match[1]) else f"{found}.{match[1]}"


@dataclass(frozen=True)
class Known:
    """What is known to be different: reasons by the pattern of a test's or module's name."""

    reasons: Mapping[str, str]
    sample: tuple[str, ...] = ()
    network: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Known:
        """The file at ``path``."""
        table = tomllib.loads(path.read_text("utf-8"))
        reasons = {test: each["why"] for each in table["known"] for test in each["tests"]}
        return cls(reasons, tuple(table["sample"]), tuple(table.get("network", ())))

    def pattern(self, name: str) -> str | None:
        """Which entry is about ``name``."""
        return next((each for each in self.reasons if fnmatchcase(name, each)), None)


@dataclass
class Compared:
    """Modules natively and here, by name."""

    known: Known
    modules: int = 0
    same: int = 0
    different: dict[str, list[str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def add(self, native: Outcome, here: Outcome) -> None:
        """Count a module; what is different and not known is in ``different``."""
        if not native.ended:
            return  # what it would have come to is not known
        worse = sorted(each for each in here.failed | here.left_out if not native.covers(each))
        if native.ended > here.ended or (native.passed > here.passed and not worse):
            worse.append(native.module)
        if native.passed:
            self.modules += 1
            self.same += here.passed
        patterns = {each: self.known.pattern(each) for each in worse}
        self.used |= {each for each in patterns.values() if each}
        unknown = [each for each, pattern in patterns.items() if pattern is None]
        if unknown:
            self.different[native.module] = unknown
