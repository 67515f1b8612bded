"""Vector registers belong to a thread: all that the processor shows to the program."""

from __future__ import annotations

import subprocess

from limpet.contract import Backend
from tests.support.bundles import Maker

SOURCE = r"""
#include <cpuid.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

enum { TURNS = 300, WIDEST = 64 };

/* The other thread has its turn between both. */
#define ACROSS(name, feature, load, store)                                                         \
    __attribute__((target(feature))) static void name(const void *from, void *to) {                \
        __asm__ volatile(load "\n syscall\n " store ::"r"(from), "r"(to), "a"(SYS_sched_yield)     \
                         : "rcx", "r11", "memory", "xmm7");                                        \
    }
ACROSS(across_16, "sse2", "movups (%0), %%xmm7", "movups %%xmm7, (%1)")
ACROSS(across_32, "avx", "vmovups (%0), %%ymm7", "vmovups %%ymm7, (%1)")
ACROSS(across_64, "avx512f", "vmovups (%0), %%zmm7", "vmovups %%zmm7, (%1)")

static unsigned width(void) {
    unsigned a, b, c, d, states = 0, high;
    __cpuid(1, a, b, c, d);
    if (c & bit_OSXSAVE)
        __asm__ volatile("xgetbv" : "=a"(states), "=d"(high) : "c"(0));
    return (states & 0xe6) == 0xe6 ? 64 : (states & 6) == 6 ? 32 : 16;
}

static void *play(void *number) {
    unsigned wide = width();
    void (*narrow)(const void *, void *) = wide == 32 ? across_32 : across_16;
    void (*across)(const void *, void *) = wide == 64 ? across_64 : narrow;
    for (long turn = 0; turn < TURNS; turn++) {
        unsigned char from[WIDEST], to[WIDEST] = {0};
        memset(from, (int)(turn + (long)number * 100), sizeof from);
        across(from, to);
        if (memcmp(from, to, wide))
            return "lost";
    }
    return NULL;
}

int main(void) {
    pthread_t other;
    void *theirs, *own;
    pthread_create(&other, NULL, play, (void *)1);
    own = play((void *)2);
    pthread_join(other, &theirs);
    puts(own || theirs ? "lost" : "kept");
    return 0;
}
"""


def test_two_threads(make: Maker, backend: Backend) -> None:
    """Each finds after the other's turn what it left, as wide as the program can see."""
    made = make(make.compile(SOURCE, "vectors"), backend)
    done = subprocess.run([made.path], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("kept\n", "")
