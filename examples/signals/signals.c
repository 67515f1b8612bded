/* Signals that a program gives itself, a fault that it survives, and a measured sleep. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

static sigjmp_buf before_fault;
static volatile sig_atomic_t received;

static void count(int signal) {
    (void)signal;
    received++;
}

static void recover(int signal) {
    siglongjmp(before_fault, signal);
}

int main(void) {
    signal(SIGUSR1, count);
    raise(SIGUSR1);
    raise(SIGUSR1);
    printf("received %d times\n", (int)received);

    signal(SIGSEGV, recover);
    if (sigsetjmp(before_fault, 1) == 0)
        *(volatile int *)8 = 1;
    puts("survived a fault");

    struct timespec start, end, pause = {.tv_nsec = 50 * 1000 * 1000};
    clock_gettime(CLOCK_MONOTONIC, &start);
    nanosleep(&pause, NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    long slept = (end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000;
    puts(slept >= 49 ? "slept" : "woke too early");
    return 0;
}
