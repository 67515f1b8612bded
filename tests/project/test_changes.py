"""Changes are told in fragments that a release can put together."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from limpet.version import __version__
from tests.support.documents import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
KINDS = {each["directory"] for each in PROJECT["tool"]["towncrier"]["type"]}
NAME = re.compile(rf"\+[a-z0-9-]+\.(?:{'|'.join(KINDS)})\.md")
README = ROOT / "changes" / "README.md"
FRAGMENTS = sorted(path for path in README.parent.iterdir() if path != README)


def problems(name: str, text: str) -> list[str]:
    """What is wrong with a fragment."""
    found = [] if NAME.fullmatch(name) else [f"{name}: not +WORDS.KIND.md"]
    if not re.fullmatch(r"\S.*\.\n", text, re.DOTALL) or "\n\n" in text:
        found.append(f"{name}: not one paragraph that ends with a full stop")
    if any(len(line) > 110 for line in text.splitlines()):
        found.append(f"{name}: a line is longer than 110")
    return found


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda path: path.name)
def test_fragment(fragment: Path) -> None:
    """Each has a name and a text that the page of changes can take."""
    assert not problems(fragment.name, fragment.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("12.added.md", "Good.\n"),
        ("+x.add.md", "Good.\n"),
        ("+x.added.md", "no full stop\n"),
        ("+x.added.md", "Two.\n\nParagraphs.\n"),
        ("+x.added.md", f"{'long ' * 30}.\n"),
        ("+x.added.md", ""),
    ],
)
def test_wrong_fragment(name: str, text: str) -> None:
    """What is wrong with one is found."""
    assert len(problems(name, text)) == 1


def test_release_notes() -> None:
    """All of them are in what a release would say, under a heading each that the page explains."""
    argv = [
        str(Path(sys.executable).with_name("towncrier")),
        "build",
        "--draft",
        "--version",
        "999",
    ]
    said = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    words = " ".join(said.split())
    for fragment in FRAGMENTS:
        assert " ".join(fragment.read_text(encoding="utf-8").split()) in words
    explained = re.findall(r"^\| (\w+) \|", README.read_text(encoding="utf-8"), re.M)
    assert set(explained) - {"kind"} == KINDS


def test_only_a_release_writes_the_page() -> None:
    """Nothing stands in CHANGELOG.md but releases."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## (.*)", text, re.M)
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)", head) for head in heads)
    assert text.count(PROJECT["tool"]["towncrier"]["start_string"]) == 1
    assert "\n- " not in text.partition("<!-- releases -->")[0]


def test_one_version() -> None:
    """Both places say the same."""
    assert PROJECT["project"]["version"] == __version__
