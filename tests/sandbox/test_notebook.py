"""What a guest may put into its user's notebook: texts, pictures, and pages that can do nothing."""

from __future__ import annotations

import fcntl
import html
import re
from pathlib import Path

import pytest

from limpet.sandbox.answers import Value
from limpet.sandbox.notebook import Notebook, bundle
from tests.sandbox.conftest import add

SCRIPT = b"<script>fetch('/api/kernels', {method: 'POST'})</script>"


def shown(**mime: bytes) -> dict[str, str]:
    """What is shown of a value with these kinds, written with two underlines for a slash."""
    kinds = {kind.replace("__", "/").replace("_", "-"): data for kind, data in mime.items()}
    return bundle(Value("text", None, False, kinds))


def test_a_picture() -> None:
    """It is in the words of the protocol."""
    assert shown(image__png=b"PNG") == {"text/plain": "text", "image/png": "UE5H"}


@pytest.mark.parametrize(
    "kind",
    ["text__markdown", "text__latex", "application__javascript", "application__pdf", "text__plain"],
)
def test_others(kind: str) -> None:
    """What a notebook would draw by its own means is left out; the text is the guest's one text."""
    assert shown(**{kind: SCRIPT}) == {"text/plain": "text"}


@pytest.mark.parametrize("before", [b"", b'">', b"'>", b"</iframe>", b"&quot;>", b"\xff\xff"])
def test_a_page(before: bytes) -> None:
    """It is in a frame without scripts that loads nothing, and nothing leads out of there."""
    found = shown(text__html=before + SCRIPT)["text/html"]
    frame = re.fullmatch(r'<iframe sandbox="" style="[^"<>]*" srcdoc="([^"<>]*)"></iframe>', found)
    assert frame, found
    page = html.unescape(frame[1])
    assert page.endswith((before + SCRIPT).decode(errors="replace"))
    policy = (
        '<!doctype html><meta http-equiv="Content-Security-Policy" content="default-src \'none\''
    )
    assert page.startswith(policy)


def test_a_drawing() -> None:
    """It is an image, in which no script runs, not a part of the page."""
    found = bundle(Value("text", None, False, {"image/svg+xml": b"<svg>" + SCRIPT}))
    assert found.keys() == {"text/plain", "text/html"}
    assert re.fullmatch(
        r'<img src="data:image/svg\+xml;base64,[A-Za-z0-9+/=]*">', found["text/html"]
    )


OPENS = """import sys, types
plot = types.ModuleType("matplotlib.pyplot")
left = ["figure"]
plot.show = lambda: display(left.pop())
sys.modules[plot.__name__] = plot
5"""


def test_figures_that_are_left_open(alone: Path) -> None:
    """They are asked for with their cell, whose result stays and whose count is its own."""
    with alone.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = Notebook(backend="process", timeout=30, output=1 << 20, tools={"add": add})
    with made:
        first = made.run(OPENS)
        assert first.value and (first.value.text, [v.text for v in first.shown]) == (
            "5",
            ["'figure'"],
        )
        second = made.run("left.append('another')\n1 / 0")
        assert second.error and '"<input 2>", line 2' in second.error.traceback
        assert [v.text for v in second.shown] == ["'another'"]
        third = made.run("7")  # where none can be drawn
        assert third.value and third.value.text == "7" and not third.error
        made.figures = False
        assert not made.run("left.append(1)").shown
