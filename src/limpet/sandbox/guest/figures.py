"""matplotlib's way to show figures here: each is a picture of the code's that runs."""

from __future__ import annotations

from importlib import import_module as _module  # a line that names matplotlib would pack it
from typing import Any

from .interpreter import display

Gcf: Any = _module("matplotlib._pylab_helpers").Gcf
FigureCanvasAgg: Any = _module("matplotlib.backends.backend_agg").FigureCanvasAgg

FigureCanvas = FigureCanvasAgg


def show(*_: Any, **__: Any) -> None:
    """Show those that are open, which are closed then, as windows would be."""
    for manager in Gcf.get_all_fig_managers():
        display(manager.canvas.figure)
    Gcf.destroy_all()
