/* What a handler finds. */
#define _GNU_SOURCE
#include "served.h"
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static siginfo_t last;

static void hear(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    last = *info;
}

static void a_queued_signal_has_its_error(void) {
    struct sigaction action = {.sa_sigaction = hear, .sa_flags = SA_SIGINFO};
    siginfo_t info = {0};
    info.si_code = SI_QUEUE;
    info.si_errno = 77;
    info.si_value.sival_int = 1234;
    sigaction(SIGUSR1, &action, NULL);
    SHOW("queue", syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &info));
    printf("  errno %d code %d value %d\n", last.si_errno, last.si_code, last.si_value.sival_int);
    SHOW("as a kernel", syscall(SYS_rt_sigqueueinfo, getpid() + 1000000, SIGUSR1, &info));
    info.si_code = 5;
    SHOW("own", syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &info));
}

static volatile unsigned long vector[2], control, word;

static void look(int number) {
    unsigned long found[2];
    unsigned mxcsr;
    unsigned short x87;
    (void)number;
    __asm__ volatile("movdqu %%xmm9, %0" : "=m"(found));
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    vector[0] = found[0], vector[1] = found[1], control = mxcsr, word = x87;
}

static void vector_registers_are_clear_for_a_handler(void) {
    static const unsigned long filled[2] = {0x1234567890abcdef, 0xfedcba0987654321};
    static const unsigned odd_control = 0x3f80, usual = 0x1f80;
    static const unsigned short odd_word = 0x27f, usual_word = 0x37f;
    unsigned long after[2];
    long number = SYS_tgkill, pid = getpid(), result;
    signal(SIGUSR2, look);
    __asm__ volatile("movdqu %2, %%xmm9\n ldmxcsr %3\n fldcw %4\n"
                     "movq %6, %%rdx\n syscall\n movdqu %%xmm9, %1\n"
                     : "=a"(result), "=m"(after)
                     : "m"(filled), "m"(odd_control), "m"(odd_word), "a"(number),
                       "i"((long)SIGUSR2), "D"(pid), "S"(pid)
                     : "rcx", "r11", "rdx", "xmm9", "memory");
    __asm__ volatile("ldmxcsr %0\n fldcw %1" : : "m"(usual), "m"(usual_word));
    printf("  sent %ld found %lx %lx %lx %lx\n", result, vector[0], vector[1], control, word);
    printf("  kept %d\n", !memcmp(after, filled, sizeof filled));
}

static void a_breakpoint_is_the_kernels(void) {
    struct sigaction action = {.sa_sigaction = hear, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    __asm__ volatile("int3");
    printf("  signal %d code %d at %p\n", last.si_signo, last.si_code, last.si_addr);
}

const struct served_case signals[] = {
    {"a_queued_signal_has_its_error", a_queued_signal_has_its_error},
    {"vector_registers_are_clear_for_a_handler", vector_registers_are_clear_for_a_handler},
    {"a_breakpoint_is_the_kernels", a_breakpoint_is_the_kernels},
    {NULL, NULL}};
