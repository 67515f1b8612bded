"""An audit as one HTML page that needs nothing else: pictures are inline SVG.

Every text that comes from the bundle is escaped: it may be hostile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape as escape_markup

from limpet.audit.model import Audit
from limpet.audit.text import as_text, rule_words
from limpet.plain import plain


def escape(text: str) -> str:
    """Foreign text as a part of the page."""
    return escape_markup(plain(text))


_WIDTH = 920
_COLOURS = ("#3b6ea5", "#c8792b", "#4d9a6a", "#8b5fa8", "#b0413e", "#6b7a8f", "#a39a3a", "#3a9aa3")

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1b2430; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .35rem .6rem;
       border-bottom: 1px solid #8884; vertical-align: top; }
pre { overflow-x: auto; font-size: 12.5px; background: #8881; padding: 1rem; }
svg { width: 100%; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
.bad { background: #b0413e; color: #fff; padding: .6rem 1rem; }
.good { background: #4d9a6a; color: #fff; padding: .6rem 1rem; }
@media (prefers-color-scheme: dark) { body { color: #dde3ea; background: #14181d; } }
"""

GENERAL = (
    (
        "QEMU",
        "with <code>-sandbox on</code> everything but a deny list; without it no filter",
        "qemu/qemu 1527c6b, system/qemu-seccomp.c",
    ),
    (
        "gVisor's Sentry",
        "70 in the table common to all its platforms",
        "google/gvisor 15a005a, runsc/boot/filter/config/config_main.go",
    ),
    (
        "Firecracker",
        "39 over its three threads, 21 of them on the vCPU's",
        "firecracker-microvm/firecracker 01a3b57, resources/seccomp/x86_64-unknown-linux-musl.json",
    ),
)
"""System calls that general monitors leave themselves once a guest runs, counted in the source."""


def as_html(audit: Audit) -> str:
    """The whole page."""
    title = escape(f"Audit of {audit.name}")
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>',
        f"<style>{_STYLE}</style><h1>{title}</h1>",
        _verdict(audit),
        "<h2>What is inside the file</h2>",
        _sizes([(part.name, part.size) for part in audit.parts]),
        "<h2>Guest, monitor and host</h2>",
        _interface(audit),
        "<h2>Beside general monitors</h2>",
        _comparison(audit),
        "<h2>Protections</h2>",
        _protections(audit),
        f"<h2>Everything</h2><pre>{escape_markup(as_text(audit))}</pre></html>\n",
    ]
    return "\n".join(parts)


def _verdict(audit: Audit) -> str:
    """Whether it was made again, then what reading found."""
    word = "good" if audit.remade.proven else "bad"
    return f'<p class="{word}">{escape(audit.remade.headline)}</p>{_findings(audit)}'


def _findings(audit: Audit) -> str:
    if not audit.findings:
        return "<p>The bytes are what the record says.</p>"
    items = "".join(f"<li>{escape(f'{f.where}: {f.what}')}</li>" for f in audit.findings)
    return f'<div class="bad">The bytes are not what they should be:<ul>{items}</ul></div>'


def _text(x: float, y: float, text: str, anchor: str = "start", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(text)}</text>'


def _box(x: float, y: float, width: float, height: float, fill: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height:.1f}" '
        f'rx="4" fill="{fill}"/>'
    )


def _svg(height: float, label: str, shapes: Iterable[str]) -> str:
    head = f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" aria-label="{escape(label)}">'
    return head + "".join(shapes) + "</svg>"


def _sizes(pieces: Sequence[tuple[str, int]]) -> str:
    """One bar a piece, as long as it is large."""
    shown = sorted((each for each in pieces if each[1]), key=lambda each: -each[1])
    most = max((size for _, size in shown), default=1)
    shapes = []
    for row, (name, size) in enumerate(shown):
        y, width = 6 + 26 * row, size / most * (_WIDTH - 330)
        shapes.append(_text(0, y + 14, name[:34]))
        shapes.append(_box(230, y, width, 18, _COLOURS[row % len(_COLOURS)]))
        shapes.append(_text(238 + width, y + 14, f"{size:,} B"))
    return _svg(12 + 26 * len(shown), "sizes of the file's parts", shapes)


def _interface(audit: Audit) -> str:
    """Three boxes, and between them every way across."""
    calls = sorted(
        {
            f"{f.backend}: {rule_words(r, audit.guest_memory)}"
            for f in audit.filters
            for r in f.rules
        }
    )
    ways = [
        f"{h.name}" + (f" ({h.port:#x})" if h.port is not None else "") for h in audit.hypercalls
    ]
    height = 60 + 24 * max(len(calls), len(ways), 3)
    boxes = (
        (0, 130, _COLOURS[0], "guest", audit.guest),
        (330, 130, _COLOURS[1], "monitor", f"{audit.monitor_bytes:,} B"),
        (_WIDTH - 110, 110, _COLOURS[5], "host kernel", ""),
    )
    shapes = []
    for x, width, colour, title, below in boxes:
        shapes.append(_box(x, 10, width, height - 20, colour))
        white = 'style="fill:#fff"'
        shapes.append(_text(x + width / 2, 36, title, "middle", white))
        shapes.append(_text(x + width / 2, 54, below[:20], "middle", white))
    for row, way in enumerate(ways):
        shapes.append(_arrow(135, 325, 56 + 24 * row, way))
    for row, call in enumerate(calls):
        shapes.append(_arrow(465, _WIDTH - 115, 56 + 24 * row, call))
    return _svg(height, "interface between guest, monitor and host", shapes)


def _arrow(start: float, end: float, y: float, label: str) -> str:
    room = int((end - start) / 6.2)
    short = label if len(label) <= room else label[: room - 1] + "…"
    head = f"M{start} {y}H{end}m-6 -4l6 4l-6 4"
    path = f'<path d="{head}" stroke="currentColor" fill="none"/>'
    return f"<g><title>{escape(label)}</title>{path}{_text(start + 6, y - 5, short)}</g>"


def _comparison(audit: Audit) -> str:
    rows = [
        f"<tr><td>{name}</td><td>{calls}</td><td><small>{source}</small></td></tr>"
        for name, calls, source in GENERAL
    ]
    for each in audit.filters:
        names = sorted({rule.call for rule in each.rules})
        words = f"{len(names)}: {', '.join(names)}"
        rows.append(
            f"<tr><td><b>this bundle, {each.backend}</b></td><td>{escape(words)}</td>"
            f"<td><small>its seccomp program at {each.address:#x}</small></td></tr>"
        )
    head = "<tr><th>monitor</th><th>host system calls left</th><th>source</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _protections(audit: Audit) -> str:
    rows = [
        f"<tr><td>{'present' if each.present else 'absent'}</td><td>{escape(each.name)}</td>"
        f"<td>{escape(each.evidence)}</td></tr>"
        for each in audit.protections
    ]
    return f"<table>{''.join(rows)}</table>"
