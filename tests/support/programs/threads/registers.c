/* What a thread has in registers when another runs. */
#include "threads.h"

static double results[MANY][2];
static void *compute(void *own) {
    double x = (double)(long)own + 1, y = 1;
    float wide[8] __attribute__((aligned(32)));
    for (int i = 0; i < 8; i++)
        wide[i] = (float)((long)own + i);
    for (int round = 0; round < 200; round++) {
        y = y * 0.5 + x / 3;
        register double kept __asm__("xmm7") = y;
        unsigned short control, changed = (unsigned short)(0x37f | ((long)own & 3) << 10);
        __asm__ volatile("fldcw %0" ::"m"(changed));
        /* a system call whose caller keeps vector registers over it */
        __asm__ volatile("syscall" : "+x"(kept) : "a"(SYS_sched_yield) : "rcx", "r11", "memory");
        __asm__ volatile("fnstcw %0" : "=m"(control));
        CHECK(control == changed && kept == y);
        for (int i = 0; i < 8; i++)
            wide[i] = wide[i] * 0.75f + (float)i;
    }
    results[(long)own][0] = y, results[(long)own][1] = (double)wide[7];
    return own;
}
void arithmetic(void) {
    pthread_t threads[MANY];
    for (long i = 0; i < MANY; i++)
        start(&threads[i], compute, i);
    for (int i = 0; i < MANY; i++) {
        join(threads[i]);
        printf("%.10f %.6f\n", results[i][0], results[i][1]);
    }
}

static volatile int stop, spun[MANY];
static void *spin(void *own) {
    while (!stop)
        spun[(long)own]++;
    return own;
}
void spinning(void) {
    pthread_t threads[MANY];
    for (long i = 0; i < MANY; i++)
        start(&threads[i], spin, i);
    for (int ran = 0; ran < MANY;) { /* this one sleeps beside them */
        nanosleep(&(struct timespec){0, 5000000}, NULL);
        ran = 0;
        for (int i = 0; i < MANY; i++)
            ran += spun[i] > 0;
    }
    stop = 1;
    for (int i = 0; i < MANY; i++)
        join(threads[i]);
    puts("all of them ran");
}

/* Every register holds what is this thread's own, all the time. */
static void *keep_registers(void *own) {
    unsigned long seed = (unsigned long)own * 0x0101010101010101UL + 1, bad = 0;
    double x = (double)(long)own + 0.25;
    for (int round = 0; round < 40; round++) {
        unsigned long wrong;
        __asm__ volatile("movq %1, %%xmm0\n movq %2, %%xmm9\n mov %2, %%r8\n mov %2, %%r15\n"
                         "mov %2, %%rbx\n mov $600000, %%ecx\n xor %%eax, %%eax\n fld1\n"
                         "1: movq %%xmm9, %%rdx\n xor %2, %%rdx\n or %%rdx, %%rax\n"
                         "mov %%r8, %%rdx\n xor %%r15, %%rdx\n or %%rdx, %%rax\n"
                         "mov %%rbx, %%rdx\n xor %2, %%rdx\n or %%rdx, %%rax\n"
                         "mov %%rax, -64(%%rsp)\n cmp -64(%%rsp), %%rax\n jne 2f\n"
                         "dec %%ecx\n jnz 1b\n 2: fstp %%st(0)\n mov %%rax, %0"
                         : "=&r"(wrong)
                         : "x"(x), "r"(seed)
                         : "rax", "rbx", "rcx", "rdx", "r8", "r15", "xmm0", "xmm9", "memory", "cc");
        bad |= wrong;
    }
    CHECK(!bad);
    return own;
}
static void *call_often(void *own) {
    for (int i = 0; i < 400000; i++)
        CHECK(syscall(SYS_getpid) == getpid());
    return own;
}
void *registers_or_calls(void *own) {
    return (long)own % 3 == 2 ? call_often(own) : keep_registers(own);
}
