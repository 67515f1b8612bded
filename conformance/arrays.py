"""numpy's own quick tests, module by module, from a virtual environment that has them.

$LIMPET_SCIENCE is that environment, with numpy, pytest and hypothesis.  ``linalg.test_linalg`` is
``numpy/linalg/tests/test_linalg.py``.  What numpy marks as slow is left out, as it does itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from conformance.outcome import Known, Outcome
from conformance.runner import HERE, Runner, built, denied, made
from limpet.contract import Backend

WARM = "import numpy, numpy.testing, pytest, hypothesis"
NEEDS = ("numpy", "pytest", "hypothesis")
ASKED_FOR = ("numpy", "setuptools", "pkg_resources")
"""What a bundle has whole of the environment: the tests themselves, and what one imports."""

MEMORY = 2 << 30

_OPTIONS = ("-q", "-rfE", "--tb=short", "-p", "no:cacheprovider", "-m", "not slow")
_SUMMARY = re.compile(r"^=* ?((?:\d+ \w+(?:, )?)+|no tests ran) in [\d.]+s", re.M)
_WORSE = re.compile(r"^(?:FAILED|ERROR) \S*?tests/(\w+)\.py(?:::(\S+))?", re.M)


@cache
def _packages() -> Path | None:
    """The folder of the environment's packages, if it has all."""
    named = os.environ.get("LIMPET_SCIENCE")
    found = Path(named).absolute().glob("lib/python3*/site-packages") if named else ()
    return next((each for each in found if all((each / one).is_dir() for one in NEEDS)), None)


def _python() -> Path:
    packages = _packages()
    assert packages
    return packages.parents[2] / "bin" / "python3"


def missing() -> str:
    """What has to be installed first, nothing where all is there."""
    return "" if _packages() else f"LIMPET_SCIENCE=DIR: an environment with {', '.join(NEEDS)}"


def known() -> Known:
    """What is known to be different."""
    return Known.read(HERE / "arrays.toml")


def modules() -> list[str]:
    """The names of all modules, in order."""
    packages = _packages()
    assert packages
    top = packages / "numpy"
    found = (each.relative_to(top).parts for each in top.glob("**/tests/test_*.py"))
    return sorted(".".join([*parts[:-2], parts[-1].removesuffix(".py")]) for parts in found)


def _path(module: str) -> str:
    *folders, name = module.split(".")
    return str(Path(_packages() or "", "numpy", *folders, "tests", f"{name}.py"))


def _argv(*words: str) -> Callable[[str], Sequence[str]]:
    """Wherever the working folder is, numpy's own ``conftest.py`` counts."""
    top = ["--rootdir", str(_packages()), "--confcutdir", str(_packages())]
    return lambda module: [str(_python()), *words, *_OPTIONS, *top, _path(module)]


def read_outcome(module: str, text: str, seconds: float) -> Outcome:
    """The outcome that pytest's ``text`` tells; brackets of parameters are round in names."""
    summary = _SUMMARY.search(text)
    counts = summary[1] if summary else ""
    failed = frozenset(_name(module, test) for _, test in _WORSE.findall(text))
    passed = bool(re.search(r"\bpassed\b", counts)) and not failed
    skipped = bool(summary) and not re.search(r"\b(?:passed|failed|errors?)\b", counts)
    return Outcome(module, bool(summary), passed, skipped, failed, seconds)


def _name(module: str, test: str) -> str:
    """``Class::test[x]`` as ``module.Class.test(x)``; brackets mean something in a pattern."""
    plain = test.replace("::", ".").replace("[", "(").replace("]", ")")
    return f"{module}.{plain}" if plain else module


def native(folder: Path) -> Runner:
    """On Linux, without what a guest does not have."""
    argv = _argv("-m", "pytest")
    return Runner(_python(), denied(folder), made(folder / "native"), argv, read_outcome)


def _bundle(folder: Path, backend: Backend, name: str, *words: str) -> Runner:
    argv = ["--backend", backend, "--memory", str(MEMORY), "--keep-times", *words]
    for each in filter(os.path.isdir, (f"{_packages()}/{name}" for name in ASKED_FOR)):
        argv += ["--include", each]
    argv += ["--python", str(_python()), "-m", "pytest"]
    bundle = built(folder / f"numpy-{name}", argv)
    return Runner(bundle, {}, made(folder / name), _argv(), read_outcome)


def guest(folder: Path, backend: Backend) -> Runner:
    """In a bundle, which is built if ``folder`` has none."""
    return _bundle(folder, backend, backend, "--cold")


def restored(folder: Path, backend: Backend) -> Runner:
    """In a bundle whose interpreter has started already, which is built if ``folder`` has none."""
    return _bundle(folder, backend, f"{backend}-restored", "--warm", WARM)
