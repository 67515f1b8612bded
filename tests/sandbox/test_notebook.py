"""What a guest may put into its user's notebook: texts, pictures, and pages that can do nothing."""

from __future__ import annotations

import html
import re

import pytest

from limpet.sandbox.answers import Value
from limpet.sandbox.notebook import bundle

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
