/* For two seconds: the monotonic clock goes steadily, whatever is done to the other. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(void) {
    double before = now(CLOCK_MONOTONIC), start = now(CLOCK_REALTIME);
    for (int i = 0; i < 20; i++) {
        usleep(100000);
        double then = before;
        before = now(CLOCK_MONOTONIC);
        if (before - then < 0.099 || before - then > 1.5)
            return printf("%f from %f\n", before, then), 1;
    }
    double moved = now(CLOCK_REALTIME) - start;
    printf("steady, and the time of day %s\n", moved > 7000 ? "went on two hours" : "did not");
    return 0;
}
