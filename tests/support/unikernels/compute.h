/* A loop that only the processor is needed for; also compiled natively (bench/c/compute.c). */
#ifndef COMPUTE_H
#define COMPUTE_H

static unsigned long compute(unsigned long turns) {
    unsigned long state = 88172645463325252, sum = 0;
    while (turns--) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        sum += state % 1000003;
    }
    return sum;
}

enum { TURNS = 20000000 };

#endif
