"""``python -m fuzz TARGET [--seconds N]`` looks for crashes; with a FILE it runs that input.

``all`` is every target in turn, ``readers`` those that are Python.  ``--seconds 0`` looks for
nothing new: it runs what is saved, the same each time.  ``--keep`` adds to the saved
corpus what a run found, minimised.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fuzz import CORPUS, FILE_MOST, HERE, READERS, TARGETS
from limpet.errors import LimpetError

CORPUS_MOST, BUNDLES_MOST = 200, 40
"""Files of a saved corpus, and of that of bundles, which take longest."""


def command(target: str) -> list[str]:
    """The program that takes libFuzzer's options for a target.

    Raises:
        LimpetError: what it needs is not installed.
    """
    if target in READERS:
        return [sys.executable, "-m", "fuzz.read", target]
    from fuzz.build import native

    return [str(native(target))]


def environment() -> dict[str, str]:
    """Ours, so that the process finds this folder and the same ``limpet``."""
    import limpet

    paths = [str(HERE.parent), str(Path(limpet.__file__).parents[1])]
    known = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": ":".join([*paths, *([known] if known else [])])}


def run(target: str, arguments: Sequence[str], *, quiet: bool = False) -> int:
    """One process of a target's fuzzer; its exit status."""
    argv = [*command(target), *arguments]
    out = subprocess.DEVNULL if quiet else None
    return subprocess.run(argv, env=environment(), stdout=out, stderr=out, check=False).returncode


def saved(target: str) -> list[str]:
    """The files of the saved corpus."""
    return sorted(str(path) for path in (CORPUS / target).glob("*"))


def fuzz(target: str, seconds: int, *, keep: bool) -> int:
    """Look for ``seconds``; 0 when nothing was found."""
    if target == "plan":
        from fuzz.plans import look

        return look(seconds)
    work = Path(tempfile.mkdtemp(prefix=f"fuzz-{target}-"))
    found, crashes = work / "found", work / "crashes"
    found.mkdir()
    crashes.mkdir()
    length = f"-max_total_time={seconds}" if seconds else "-runs=0"
    arguments = [
        *(length, f"-max_len={FILE_MOST}", "-timeout=60", "-len_control=0"),
        *("-rss_limit_mb=4096", "-use_value_profile=1", "-print_final_stats=1"),
        f"-artifact_prefix={crashes}/",
    ]
    status = run(target, [*arguments, str(found), str(CORPUS / target)])
    if keep and status == 0:
        _keep(target, found)
    for crash in sorted(crashes.iterdir()):
        sys.stderr.write(f"\n{target}: {crash}\nagain: python -m fuzz {target} {crash}\n")
    if status == 0 and not any(crashes.iterdir()):
        shutil.rmtree(work)
    elif status == 0:  # slow inputs are no crashes
        sys.stderr.write(f"{target}: slow inputs in {crashes}\n")
    return status


def _keep(target: str, found: Path) -> None:
    """Put few inputs that together reach everything into the saved corpus.

    What once was a crash stays, by its name ``found…``; where there are too many others, the
    longest are likely to reach most.
    """
    smaller = Path(tempfile.mkdtemp(prefix=f"fuzz-{target}-kept-"))
    merge = ("-set_cover_merge=1", "-use_counters=0", str(smaller))
    run(target, [*merge, str(CORPUS / target), str(found)], quiet=True)
    chosen = sorted(smaller.iterdir(), key=lambda path: (-path.stat().st_size, path.name))
    if chosen:
        crashes = {path for path in (CORPUS / target).iterdir() if path.name.startswith("found")}
        for path in set((CORPUS / target).iterdir()) - crashes:
            path.unlink()
        most = BUNDLES_MOST if target == "bundle" else CORPUS_MOST
        for path in chosen[: most - len(crashes)]:
            shutil.copy(path, CORPUS / target / path.name[:16])
    shutil.rmtree(smaller)


def replay(target: str, files: Sequence[str]) -> int:
    """Run inputs once each; 0 when none crashes."""
    if target == "plan":
        sys.stderr.write("plan: hypothesis repeats its failures by itself\n")
        return 2
    missing = [each for each in files if not Path(each).is_file()]
    if missing:
        sys.stderr.write(f"{missing[0]}: no such file\n")
        return 2
    return run(target, files)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("target", choices=(*TARGETS, "readers", "all"))
    parser.add_argument("file", nargs="*", help="inputs to run, instead of looking for new ones")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", action="store_true", help="add what is found to the corpus")
    given = parser.parse_args()
    try:
        if given.file:
            return replay(given.target, given.file)
        targets = {"all": TARGETS, "readers": READERS}.get(given.target, (given.target,))
        statuses = [fuzz(each, given.seconds, keep=given.keep) for each in targets]
    except LimpetError as error:
        sys.stderr.write(f"{error.message}\n{error.hint}\n")
        return 2
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
