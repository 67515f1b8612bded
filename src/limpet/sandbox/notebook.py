"""What a notebook may be given of a sandbox: its user's browser shows it, with the user's rights.

Scripts of a page that is shown in a notebook run as its user, and a kernel beside this one has all
that he has; a picture from elsewhere tells somebody what its address says.  So a page of the
guest's is in a frame of its own, where nothing runs and nothing is loaded, and kinds that are for
whatever may draw them in a notebook are left out: each value has its text as well.
Source: "The iframe element" of the HTML standard, and "Content Security Policy".
"""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from typing import Any

from limpet.sandbox.answers import Answer, Value
from limpet.sandbox.exchange import Heard
from limpet.sandbox.memory import Memory
from limpet.sandbox.result import Timings
from limpet.sandbox.sandbox import Sandbox

_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""Kinds that nothing comes of but a picture."""

_ALONE = (
    "default-src 'none'; img-src data:; font-src data:; media-src data:; style-src 'unsafe-inline'"
)
"""What a page of the guest's may load: what it has in itself."""

_ROWS = (4, 24)
"""The least and the most that are shown of such a page, in lines of a table."""


class Notebook(Sandbox):
    """A sandbox whose code is cells: figures that one leaves open are shown behind it."""

    figures = True

    def _asked(
        self,
        request: Mapping[str, Any],
        heard: Heard,
        timeout: float | None = None,
        memory: Memory | None = None,
    ) -> tuple[Answer, Timings]:
        return super()._asked({**request, "figures": self.figures}, heard, timeout, memory)


def bundle(value: Value) -> dict[str, str]:
    """A value by its kinds, as Jupyter has them."""
    found = {"text/plain": value.text}
    for kind, data in value.mime.items():
        if kind in _PICTURES:
            found[kind] = base64.b64encode(data).decode()
    page, drawn = value.mime.get("text/html"), value.mime.get("image/svg+xml")
    if page is not None:
        found["text/html"] = _framed(page.decode(errors="replace"))
    elif drawn is not None:  # in an image nothing runs, and nothing is loaded
        source = base64.b64encode(drawn).decode()
        found["text/html"] = f'<img src="data:image/svg+xml;base64,{source}">'
    return found


def _framed(page: str) -> str:
    """A page in which no script runs, and which loads nothing."""
    rows = min(max(_ROWS[0], page.count("<tr") + 2), _ROWS[1])
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_ALONE}">'
    source = html.escape(f"<!doctype html>{policy}{page}")
    style = f"border:0; width:100%; height:{rows * 1.6:.1f}em; resize:vertical"
    return f'<iframe sandbox="" style="{style}" srcdoc="{source}"></iframe>'
