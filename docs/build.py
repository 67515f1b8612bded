"""``python docs/build.py``: the pages as a site, in build/docs/site.

The pages stay where they are read in the repository, and link as they do there.  So they are laid
out in build/docs/pages at the same places, with the other files that they link to.  Every warning
of the builder is an error.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "build" / "docs"
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")


def pages() -> list[Path]:
    """Every document, from the root."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")]
    return sorted(path.relative_to(ROOT) for path in found)


def linked(page: Path) -> set[Path]:
    """The files that a page links to."""
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = {name for name, _ in LINK.findall(text) if "://" not in name}
    return {((ROOT / page).parent / name).resolve().relative_to(ROOT) for name in targets}


def lay_out(folder: Path) -> None:
    """Pages and what they link to, at the places that they have in the repository."""
    every = set(pages()).union(*map(linked, pages()))
    for path in every:
        if (ROOT / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, folder / path)


def main() -> int:
    """Build it; the exit status."""
    shutil.rmtree(WORK, ignore_errors=True)
    lay_out(WORK / "pages")
    shutil.copyfile(ROOT / "docs" / "zensical.toml", WORK / "zensical.toml")
    (WORK / "src").symlink_to(ROOT / "src")
    argv = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    done = subprocess.run(argv, cwd=WORK, check=False)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
