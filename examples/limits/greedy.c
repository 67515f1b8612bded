/* Take all there is of what the first argument names: memory, time or output. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *volatile last; /* else the compiler sees that nobody reads the memory */

static void memory(void) {
    size_t taken = 0, piece = 1 << 20;
    while ((last = malloc(piece))) {
        memset(last, 1, piece);
        taken += piece;
    }
    printf("%s\n", taken < 32 * piece ? "less than 32 MiB" : "32 MiB or more");
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "memory")) {
        memory();
    } else if (!strcmp(what, "time")) {
        for (volatile unsigned turn = 0;; turn++)
            ;
    } else if (!strcmp(what, "output")) {
        for (;;)
            puts("more");
    } else {
        fprintf(stderr, "usage: greedy memory|time|output\n");
        return 2;
    }
    return 0;
}
