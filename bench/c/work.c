/* Work without system calls: prints the nanoseconds that each kind takes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WORDS = 8 << 20, CHASES = 4 << 20, ROUNDS = 60 << 20, SWEEPS = 8 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static uint64_t mix(uint64_t x) { /* splitmix64 */
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static double compute(void) {
    double start = now(), fraction = 1;
    uint64_t x = 1;
    for (int i = 0; i < ROUNDS; i++) {
        x = mix(x);
        fraction = fraction * 0.5 + (double)(x >> 40) * 0x1p-24;
    }
    double took = now() - start;
    fprintf(stderr, "%llx %f\n", (unsigned long long)x, fraction);
    return took;
}

static double first_touch(uint64_t *words) {
    double start = now();
    for (int i = 0; i < WORDS; i += 512)
        words[i] = 1;
    return now() - start;
}

static double sweep(uint64_t *words) {
    uint64_t sum = 0;
    double start = now();
    for (int turn = 0; turn < SWEEPS; turn++)
        for (int i = 0; i < WORDS; i++)
            sum += words[i] += (uint64_t)turn;
    double took = now() - start;
    fprintf(stderr, "%llx\n", (unsigned long long)sum);
    return took;
}

static double chase(uint64_t *words) {
    for (int i = 0; i < WORDS; i++)
        words[i] = mix((uint64_t)i) % WORDS;
    uint64_t at = 0;
    double start = now();
    for (int i = 0; i < CHASES; i++)
        at = words[(at + (uint64_t)i) % WORDS];
    double took = now() - start;
    fprintf(stderr, "%llx\n", (unsigned long long)at);
    return took;
}

int main(void) {
    uint64_t *words = malloc(WORDS * sizeof *words);
    double first = first_touch(words);
    printf("%f %f %f %f\n", compute(), sweep(words), chase(words), first);
    return 0;
}
