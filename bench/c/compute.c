/* Nanoseconds for the unikernels' loop, natively. */
#include "../../tests/support/unikernels/compute.h"
#include <stdio.h>
#include <time.h>

int main(void) {
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    unsigned long sum = compute(TURNS);
    clock_gettime(CLOCK_MONOTONIC, &to);
    fprintf(stderr, "%lu\n", sum);
    printf("%ld\n", (to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec);
    return 0;
}
