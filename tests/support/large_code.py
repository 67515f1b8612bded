"""A program with more code than a large page has, which runs a constant of its own."""

from __future__ import annotations

from pathlib import Path

from tests.support.bundles import Maker

PROGRAM = """
#include <stdio.h>
__asm__(".text\\n.skip 5 << 20, 0xcc\\n");
const unsigned char constants[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov $42, %eax; ret */
static int (*volatile run)(void) = (int (*)(void))(unsigned long)constants;
int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    puts("a constant is run");
    printf("%d\\n", run());
    return 0;
}
"""


def large(make: Maker) -> Path:
    """That program, which ends by a signal where its constants cannot be run."""
    return make.compile(PROGRAM, "large")
