"""matplotlib's way to show figures here: each is a picture of the code's that runs."""

from __future__ import annotations

from typing import Any

from matplotlib._pylab_helpers import Gcf
from matplotlib.backends.backend_agg import FigureCanvasAgg

from .interpreter import display

FigureCanvas = FigureCanvasAgg


def show(*_: Any, **__: Any) -> None:
    """Show those that are open, which are closed then, as windows would be."""
    for manager in Gcf.get_all_fig_managers():
        display(manager.canvas.figure)
    Gcf.destroy_all()
