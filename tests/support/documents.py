"""Documents as data: what they link to and name, and the transcripts that they show.

In a ``console`` block a line that starts with ``$ `` is a command, ``> `` continues it, and the
lines below are what it prints on both streams.  ``...`` stands for what varies from host to host.
A block with ``title="NAME"`` is a file of that name, or what is added to its end; a ``diff``
block is applied.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^(```+)([^\n]*)\n(.*?)^\1$", re.M | re.DOTALL)
_OPERATORS = {"&&", "||", ";", "|", "&", "<", ">", "2>", ">>"}
_ANY = "..."


@cache
def tracked() -> tuple[str, ...]:
    """Every file under version control or about to be, by its path from the root."""
    argv = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    said = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(name for name in said.split("\0") if name and (ROOT / name).exists())


@cache
def folders() -> frozenset[str]:
    """Every folder that has a tracked file."""
    return frozenset(str(parent) for name in tracked() for parent in Path(name).parents)


def documents() -> list[Path]:
    """What a person reads."""
    return sorted(ROOT / name for name in tracked() if name.endswith(".md"))


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    language: str
    title: str
    text: str
    line: int


def blocks(text: str) -> Iterator[Block]:
    """Its fenced blocks, in order."""
    for found in _FENCE.finditer(text):
        words = found[2].split()
        title = re.search(r'title="([^"]+)"', found[2])
        line = text.count("\n", 0, found.start()) + 2
        yield Block(words[0] if words else "", title[1] if title else "", found[3], line)


def prose(text: str) -> str:
    """The document without its fenced blocks."""
    return _FENCE.sub("", text)


def spans(text: str) -> list[str]:
    """What stands between backticks in its prose."""
    return [" ".join(each.split()) for each in re.findall(r"`([^`]+)`", prose(text))]


def links(text: str) -> list[str]:
    """Where its links go."""
    return re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", prose(text))


def anchors(text: str) -> set[str]:
    """The names of its headings, as they stand in links."""
    heads = re.findall(r"^#+ +(.+)$", prose(text), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def commands(text: str) -> Iterator[list[str]]:
    """The simple commands, as words, of its shell blocks."""
    for block in blocks(text):
        if block.language == "console":
            lines = [step.command for step in _steps(block)]
        elif block.language == "sh":
            lines = block.text.replace("\\\n", " ").splitlines()
        else:
            continue
        for line in lines:
            yield from simple_commands(line)


def simple_commands(line: str) -> Iterator[list[str]]:
    """The parts of a shell line between its operators."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word in _OPERATORS or set(word) <= set("();<>|&"):
            if words:
                yield words
            words = []
        elif words or not re.match(r"\w+=", word):
            words.append(word)


@dataclass(frozen=True)
class Step:
    """A command of a transcript and what it prints."""

    line: int
    command: str
    output: str


@dataclass(frozen=True)
class Written:
    """A file, or a change to files, that comes before the next command."""

    command: str
    text: str


def _steps(block: Block) -> Iterator[Step]:
    command: list[str] = []
    output: list[str] = []
    start = block.line
    for number, line in enumerate(block.text.splitlines(), block.line):
        if line.startswith("$ "):
            if command:
                yield Step(start, "\n".join(command), "".join(output))
            command, output, start = [line[2:]], [], number
        elif line.startswith("> ") and not output:
            command.append(line[2:])
        else:
            output.append(line + "\n")
    if command:
        yield Step(start, "\n".join(command), "".join(output))


def steps(text: str) -> Iterator[Step | Written]:
    """What a reader does who follows the document."""
    for block in blocks(text):
        if block.language == "console":
            yield from _steps(block)
        elif block.language == "diff":
            yield Written("patch --quiet --strip=1", block.text)
        elif block.title:
            yield Written(f"mkdir -p $(dirname {block.title}); cat >>{block.title}", block.text)


def follow(
    text: str,
    folder: Path,
    shell: Sequence[str] = ("bash",),
    commands: Path | None = None,
    sources: Path = ROOT / "src",
) -> list[str]:
    """Do what a document says, in ``folder``; every place where something else was printed.

    ``commands`` is a folder with commands that go before others of the same name, ``sources`` the
    one that has the package ``limpet``.
    """
    mark = "\x1e"
    script = ["exec 2>&1"]
    wanted: list[Step] = []
    for step in steps(text):
        if isinstance(step, Written):
            script += [f"{step.command} <<'\x1d'", step.text + "\x1d"]
        else:
            wanted.append(step)
            script += [f"(exit $status); {step.command}", f"status=$?; printf '{mark}'"]
    (folder / ".transcript").write_text("\n".join(script), encoding="utf-8")
    done = subprocess.run(
        [*shell, ".transcript"],
        cwd=folder,
        env=_environment(commands or folder, sources),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
        check=False,
    )
    parts = done.stdout.decode(errors="backslashreplace").split(mark)
    assert wanted, "a document without a transcript"
    if len(parts) != len(wanted) + 1:
        return [f"ended early: {parts[-1]}{done.stderr.decode()}"]
    return [
        f"line {step.line}: $ {step.command}\nsays\n{step.output}prints\n{printed}"
        for step, printed in zip(wanted, parts, strict=False)
        if not _same(step.output, printed)
    ]


def _environment(commands: Path, sources: Path) -> dict[str, str]:
    """A user's who has the virtual environment's commands, and of these sources."""
    here = Path(sys.executable).parent
    return os.environ | {
        "PATH": f"{commands}:{here}:{os.environ['PATH']}",
        "PYTHONPATH": str(sources),
        "NO_COLOR": "1",
        "COLUMNS": "80",
    }


def _same(expected: str, printed: str) -> bool:
    pattern = ".*".join(map(re.escape, expected.split(_ANY)))
    return re.fullmatch(pattern, printed, re.DOTALL) is not None
