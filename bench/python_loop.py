"""Runs in the guest and natively: calls what a benchmark of pyperformance gives its runner.

``loop.py FILE COUNT``: this is what the file imports as ``pyperf``.
"""

from __future__ import annotations

import argparse
import platform
import runpy
import sys
import time
from collections.abc import Callable
from typing import Any

COUNT = int(sys.argv.pop())


class Runner:
    """Takes what a benchmark says, and calls it so often."""

    def __init__(self, **_: Any) -> None:
        self.metadata: dict[str, Any] = {}
        self.argparser = argparse.ArgumentParser()
        self.args: Any = None

    def parse_args(self, *_: Any) -> Any:
        """What the command line says: nothing."""
        self.args = self.argparser.parse_args(ARGUMENTS)
        return self.args

    def bench_func(self, _: str, function: Callable[..., Any], *given: Any, **__: Any) -> None:
        """Call a function."""
        for _turn in range(COUNT):
            function(*given)

    def bench_time_func(self, _: str, function: Callable[..., Any], *given: Any, **__: Any) -> None:
        """Call a function that loops by itself."""
        if COUNT:
            function(COUNT, *given)


perf_counter = time.perf_counter
python_implementation = platform.python_implementation
ARGUMENTS = ["pickle"] if sys.argv[1].endswith("/pickle.py") else []
sys.modules["pyperf"] = sys.modules["__main__"]
sys.path.pop(0)
sys.argv[:] = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
