"""A shim of any size is placed: larger here, in a copy of the sources, than ever."""

from __future__ import annotations

import pytest

import limpet
from limpet.errors import PlanError
from limpet.guests.solo5.layout import lay_out
from limpet.tools.freestanding import Sizes
from tests.support.bundles import execute
from tests.support.command import Cli
from tests.support.copies import copied
from tests.support.solo5 import Bundled

SIZE = 128 << 10
"""Of code, of constants and of data."""

LARGE = f"""
static volatile u8 data[{SIZE}];
static const volatile u8 constants[{SIZE}] = {{[{SIZE - 1}] = 6}};

static u64 at_the_end(void) {{
    data[{SIZE - 1}] = 1;
    __asm__ volatile(".skip {SIZE}, 0x90" ::: "memory"); /* NOPs */
    return data[{SIZE - 1}] * constants[{SIZE - 1}];
}}

void shim_serve(struct regs *regs);
"""

SERVES = "    u64 vector = trap_frame.vector, error = trap_frame.error;\n"
ASKS = "    vector += at_the_end() - 6;\n"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """``limpet`` with a shim that is as large as that, and ends otherwise without all of it."""
    folder = tmp_path_factory.mktemp("large")
    shim = copied(folder) / "limpet/c/guest/hvt/shim.c"
    text = shim.read_text()
    assert text.count(SERVES) == text.count("void shim_serve(struct regs *regs);\n") == 1
    text = text.replace("void shim_serve(struct regs *regs);\n", LARGE)
    shim.write_text(text.replace(SERVES, SERVES + ASKS))
    return Cli(folder, folder, sources=folder / "src")


@pytest.mark.slow
@pytest.mark.kvm
def test_runs(large: Cli, unikernel: Bundled) -> None:
    """It works to its last byte, and is made again the same."""
    bundle = large.cwd / "bundle"
    made = large("build", unikernel("hvt"), "-o", bundle)
    assert made.returncode == 0, made.stderr
    ran = execute(["hvt", "bad", "ud2"], bundle)
    assert (ran.stdout, ran.status) == (b"trap 06 error 00 cr2 00000000\n", 200)
    assert bundle.stat().st_size > 2 * SIZE
    assert "the same, byte for byte" in large("verify", bundle).stdout
    assert large("audit", bundle).stdout.startswith("VERIFIED: ")


def test_has_an_end(unikernel: Bundled) -> None:
    """It lies below the program, and does not reach into it."""
    image = limpet.load(unikernel("hvt")).image
    free = image.segments[0].address - lay_out(image, 64 << 20, Sizes()).supervisor
    lay_out(image, 64 << 20, Sizes(rodata=free))
    with pytest.raises(PlanError, match="does not fit below 0x100000"):
        lay_out(image, 64 << 20, Sizes(rodata=free + 1))
