"""Which files of the library OS are compiled as one."""

from __future__ import annotations

from pathlib import Path

import pytest

from limpet.errors import ToolchainError
from limpet.guests.linux.library import FLAGS
from limpet.guests.linux.parts import guest_sources
from limpet.guests.linux.together import texts
from limpet.sources import GUEST_ROOT
from limpet.tools.toolchain import compile_beside, words_for_many


def written(folder: Path, **files: str) -> list[Path]:
    """Files of C, by their names without the ending."""
    made = [folder / f"{name}.c" for name in files]
    for path, text in zip(made, files.values(), strict=True):
        path.write_text(text)
    return made


def compiled(folder: Path, sources: list[Path]) -> int:
    """Compile the texts of ``sources``; how many there are."""
    made = []
    for name, text in texts(folder, sources):
        made.append(folder / name)
        made[-1].write_text(text)
    words = words_for_many(made[0], flags=FLAGS, include=folder)
    compile_beside(made, words, include=folder)
    return len(made)


def test_every_file_is_in_one_text() -> None:
    """In one of its own folder, and there are much fewer texts than files."""
    sources = [each for each in guest_sources() if each.suffix == ".c"]
    made = dict(texts(GUEST_ROOT, sources))
    for source in sources:
        line = f'#line 1 "{source}"\n'
        (place,) = (name for name, text in made.items() if line in text)
        assert (GUEST_ROOT / place).parent == source.parent
    assert len(made) < len(sources) / 3


@pytest.mark.parametrize(
    "own",
    [
        "static int own(void) { return {}; }",
        "static const int own[] = {1, {}};",
        "static int own = {};",
        "enum { BEFORE{} = (1), own = {} };",
        "struct own { int member{}; };",
    ],
)
def test_files_with_a_name_in_common_are_apart(tmp_path: Path, own: str) -> None:
    """Those of a folder that have none in common are not."""
    uses = (
        "" if own.startswith(("enum", "struct")) else "int uses{}(void) { return (int)(long)&own; }"
    )
    same = [f"{own}\n{uses}\n".replace("{}", f"{each}") for each in (1, 2)]
    files = written(tmp_path, a=same[0], b="int between;\n", c=same[1])
    assert compiled(tmp_path, files) == 2


@pytest.mark.parametrize(
    "given",
    [
        "long own(long value);",
        "static inline long own(long value) { return value + 1; }",
        "extern long own;",
        "extern const char own[];",
        "enum { FIRST, own };",
        "#define own(value) value",
    ],
)
@pytest.mark.parametrize("includes", ["a", "b"])
def test_what_a_header_gives_is_no_other_file_s_own(
    tmp_path: Path, given: str, includes: str
) -> None:
    """Be it the first or the second that includes it, through another one too."""
    (tmp_path / "given.h").write_text(f"{given}\n")
    (tmp_path / "more.h").write_text('#include "given.h"\n')
    asks, has = '#include "more.h"\nint asks;\n', "static int own = 1;\nint *has = &own;\n"
    sources = {"a": asks, "b": has} if includes == "a" else {"a": has, "b": asks}
    assert compiled(tmp_path, written(tmp_path, **sources)) == 2


def test_a_macro_ends_with_its_file(tmp_path: Path) -> None:
    """Another file has its own, or a name for something else."""
    first = "#define SIZE 4\nint first(void) { return SIZE; }\n"
    second = "#define SIZE 5\nint second(void) { return SIZE; }\n"
    third = "int third(int SIZE) { return SIZE; }\n"
    assert compiled(tmp_path, written(tmp_path, a=first, b=second, c=third)) == 1


def test_what_is_wrong_is_told_by_the_line_of_its_file(tmp_path: Path) -> None:
    """Not by that of the text."""
    files = written(tmp_path, first="int first;\n", second="int second = 1 +;\n")
    with pytest.raises(ToolchainError, match=r"second\.c:1:17: error: expected expression"):
        compiled(tmp_path, files)
