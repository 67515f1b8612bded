"""The documents are true: what they link to and name is there, and what they show happens."""

from __future__ import annotations

import importlib
import importlib.util
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import click
import pytest

from limpet.cli import cli
from tests.support import documents
from tests.support.documents import ROOT, folders, tracked

Check = Callable[[Path, str], Iterator[str]]

OTHERS_OPTIONS = {"--unshare-all": "bubblewrap's"}
FILE = re.compile(r"[\w.*/{}<>-]+\.(?:py|c|h|S|md|toml|json|sh|ld|yml)|[\w.*-]+/[\w.*/-]*")


def broken_links(document: Path, text: str) -> Iterator[str]:
    """Links to a file or heading that is not there."""
    for target in documents.links(text):
        name, _, anchor = target.partition("#")
        if "://" in target:
            continue
        path = (document.parent / name).resolve() if name else document
        if not path.exists():
            yield f"link to {target}"
        elif anchor and anchor not in documents.anchors(path.read_text(encoding="utf-8")):
            yield f"link to {target}: no such heading"


def _is_there(name: str, text: str) -> bool:
    pattern = re.sub(r"\b[A-Z][A-Z_]*\b(?!\.md)", "*", name).rstrip("/")
    known = (*tracked(), *folders())
    if any(fnmatch(each, end) for each in known for end in (pattern, f"*/{pattern}")):
        return True
    made_here = "".join(f"{block.title}\n{block.text}" for block in documents.blocks(text))
    return name in made_here or f'"{name}"' in _sources()


@cache
def _sources() -> str:
    return "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))


def missing_files(_: Path, text: str) -> Iterator[str]:
    """Names of files and folders that are nowhere: not in the tree, not made on the way."""
    for span in documents.spans(text):
        is_file = FILE.fullmatch(span) and not span.startswith("/")
        if is_file and not _is_there(span, text):
            yield f"file {span}"


def missing_modules(_: Path, text: str) -> Iterator[str]:
    """Names of our modules, and of what they have, that cannot be imported."""
    for span in documents.spans(text):
        if re.fullmatch(r"limpet(\.\w+)+", span) and not FILE.fullmatch(span):
            try:
                module, name = span.rsplit(".", 1)
                found = hasattr(importlib.import_module(module), name)
                found = found or importlib.util.find_spec(span) is not None
            except ImportError:
                found = False
            if not found:
                yield f"module {span}"
    for imported in re.findall(r"python3? -m ([\w.]+)", text):
        if importlib.util.find_spec(imported) is None and not (ROOT / imported).is_dir():
            yield f"module {imported}"


def missing_tests(_: Path, text: str) -> Iterator[str]:
    """Names of tests that no file of the tests defines."""
    for span in documents.spans(text):
        if re.fullmatch(r"test_\w+", span) and f"def {span}(" not in _tests():
            yield f"test {span}"


@cache
def _tests() -> str:
    return "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))


@cache
def _known_options() -> frozenset[str]:
    context = click.Context(cli)
    found = {"-h", "--help"}
    for each in (cli, *(cli.get_command(context, name) for name in cli.list_commands(context))):
        assert each
        found |= {option for parameter in each.params for option in parameter.opts}
    texts = [ROOT / "src/limpet/cli/tender.py", *(ROOT / "src/limpet/c/monitor").rglob("*.c")]
    texts += [
        path
        for name in ("bench", "conformance", "fuzz", "hardware", "mutants")
        for path in (ROOT / name).glob("*.py")
    ]
    for path in texts:
        found |= set(re.findall(r"--[a-z][a-z-]+", path.read_text(encoding="utf-8")))
    return frozenset(found | OTHERS_OPTIONS.keys())


def unknown_options(_: Path, text: str) -> Iterator[str]:
    """Options that no command has."""
    for span in documents.spans(text):
        if re.match(r"(?:limpet[\w-]* )?(?:\w+ )?-", span):
            for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", span):
                if option not in _known_options():
                    yield f"option {option}"
    for words in documents.commands(text):
        if words[0].rpartition("/")[2] == "limpet" and len(words) > 1:
            yield from _wrong_words(words[1], words[2:])


def _wrong_words(name: str, words: list[str]) -> Iterator[str]:
    context = click.Context(cli)
    command = cli.get_command(context, name)
    if command is None:
        if not name.startswith("-"):
            yield f"command limpet {name}"
        return
    context = click.Context(command, info_name=name, **command.context_settings)
    parser = command.make_parser(context)
    parser.ignore_unknown_options = False
    try:
        parser.parse_args(list(words))
    except click.UsageError as error:
        yield f"limpet {name}: {error.message}"


def missing_targets(_: Path, text: str) -> Iterator[str]:
    """``make`` targets that the Makefile lacks."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = [words[1] for words in documents.commands(text) if words[0] == "make" and words[1:]]
    named += re.findall(r"`make ([\w-]+)`", text)
    for name in named:
        if not re.search(rf"^{name}:", makefile, re.M):
            yield f"make {name}"


CHECKS = (
    broken_links,
    missing_files,
    missing_modules,
    missing_tests,
    unknown_options,
    missing_targets,
)


@pytest.mark.parametrize("document", documents.documents(), ids=lambda path: path.name)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_it_names_exists(document: Path, check: Check) -> None:
    """Links, files, modules, tests, options and targets."""
    assert not list(check(document, document.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (broken_links, "see [this](docs/nowhere.md)"),
        (broken_links, "see [this](README.md#nowhere)"),
        (missing_files, "`guest_rang.h`"),
        (missing_files, "`c/hypercalls/NAME/hypercal.toml`"),
        (missing_files, "`planing/`"),
        (missing_modules, "`limpet.planning.nothing`"),
        (missing_modules, "`limpet.lode`"),
        (missing_modules, "`python -m fuz elf`"),
        (missing_tests, "`test_nothing_at_all" + "_like_this`"),
        (unknown_options, "`--timout`"),
        (unknown_options, "`run --timout 3s`"),
        (unknown_options, "```sh\nlimpet run --timout 3s examples/hello.c\n```\n"),
        (unknown_options, "```console\n$ x=1 && limpet bild hello.c | wc\n```\n"),
        (missing_targets, "`make tee`"),
        (missing_targets, "```sh\nmake tee\n```\n"),
    ],
)
def test_what_does_not_exist_is_found(check: Check, text: str) -> None:
    """Each check sees a slip of the pen."""
    assert len(list(check(ROOT / "README.md", text))) == 1


def test_no_conflict_markers() -> None:
    """No file holds what a merge left undecided."""
    marker = re.compile(rb"^(?:<{7}|>{7}|\|{7}) ", re.M)
    assert not [name for name in tracked() if marker.search((ROOT / name).read_bytes())]


def test_site_has_every_page() -> None:
    """The site's table of contents names every document but the decisions, and nothing else."""
    site = tomllib.loads((ROOT / "docs" / "zensical.toml").read_text(encoding="utf-8"))
    named = {str(page) for page in _leaves(site["project"]["nav"])}
    every = {str(path.relative_to(ROOT)) for path in documents.documents()}
    assert every - named == {
        name for name in every if name.startswith(("docs/decisions/0", "changes/"))
    }
    assert named <= every


def _leaves(table: object) -> Iterator[object]:
    values = table.values() if isinstance(table, dict) else table
    if isinstance(values, str):
        yield values
        return
    assert isinstance(values, Iterable)
    for each in values:
        yield from _leaves(each)
