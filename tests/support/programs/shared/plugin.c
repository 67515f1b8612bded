/* Loaded by dlopen: its data must be as in its file each time, its TLS of each thread anew. */
#include "shared.h"

#include <stdio.h>

static int uses = 7;
static int large[20000];
static __thread int own = 13;

__attribute__((constructor)) static void begin(void) {
    puts("plugin: constructor");
}

__attribute__((destructor)) static void end(void) {
    puts("plugin: destructor");
}

int plugin_use(int by) {
    uses += by, own += by, large[by] += by;
    return uses * 1000000 + own * 1000 + large[by] * 10 + shared_initial;
}
