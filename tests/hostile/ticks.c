/* Attacks of a program with threads, behind those of attack.c, whose main() is attacks_main(). */
#include <pthread.h>
#include <time.h>

static u64 milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (u64)now.tv_sec * 1000 + (u64)now.tv_nsec / 1000000;
}

static u64 cycles(void) {
    u32 low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (u64)high << 32 | low;
}

static unsigned ring(void) {
    unsigned selector;
    __asm__ volatile("mov %%cs, %0" : "=r"(selector));
    return selector & 3;
}

static void in_ring_3(void) {
    if (ring() == 3)
        return;
    __asm__ volatile("cli");
    printf("ring %u\n", ring());
    exit(1);
}

static void start(void *(*what)(void *), void *with) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, what, with))
        exit(98);
}

static void *look_at_ring(void *until) {
    while (milliseconds() < *(volatile u64 *)until)
        for (int i = 0; i < 10000; i++)
            in_ring_3();
    return NULL;
}

/* Faults one behind the other for n[0] ms, so that ticks meet the code of ring 0. */
static void faults_under_ticks(const u64 *n) {
    static volatile u64 until, faults;
    until = milliseconds() + n[0];
    handle(SIGSEGV, caught);
    start(look_at_ring, (void *)&until);
    while (milliseconds() < until)
        for (int i = 0; i < 200; i++) {
            if (!sigsetjmp(back, 0))
                poke((const u64[7]){0});
            in_ring_3();
            faults++;
        }
    if (faults < 1000)
        exit(97);
}

static void *for_ever(void *counts) {
    for (volatile u64 *count = counts;;)
        ++*count;
}

/* Every register has its value back, whatever it is, after n[0] rounds in which the other thread
 * had its turns. */
static void odd_registers(const u64 *n) {
    static volatile u64 turns;
    static u64 stack, flags;
    start(for_ever, (void *)&turns);
    puts("ready");
    fflush(stdout);
    u64 before = turns, wrong;
    __asm__ volatile("push %%rbp\nmov %%rsp, %[stack]\n"
                     "mov %[odd], %%rsp\nmov %%rsp, %%rbp\nnot %%rbp\n"
                     "mov %%rbp, %%rbx\nmov %%rsp, %%r12\nmov %%rbp, %%r13\nmov %%rsp, %%r14\n"
                     "1: dec %%rcx\njnz 1b\n"
                     "xor %%eax, %%eax\n"
                     "cmp %%rdx, %%rsp\njne 2f\nnot %%rdx\ncmp %%rdx, %%rbp\njne 2f\n"
                     "cmp %%rdx, %%rbx\njne 2f\ncmp %%rdx, %%r13\njne 2f\nnot %%rdx\n"
                     "cmp %%rdx, %%r12\njne 2f\ncmp %%rdx, %%r14\nje 3f\n"
                     "2: inc %%eax\n3: mov %[stack], %%rsp\npop %%rbp"
                     : "=a"(wrong), [stack] "+m"(stack)
                     : "c"(n[0]), "d"(n[1]), [odd] "r"(n[1])
                     : "rbx", "r12", "r13", "r14", "memory", "cc");
    if (wrong)
        exit(96);
    __asm__ volatile("pushfq\npop %%rax\nor %[set], %%rax\npush %%rax\npopfq\n"
                     "1: lea -1(%%rcx), %%rcx\njrcxz 2f\njmp 1b\n"
                     "2: pushfq\npopq %[flags]\npushq $0x202\npopfq"
                     : [flags] "=m"(flags)
                     : "c"(n[0]), [set] "r"(n[2])
                     : "rax", "memory", "cc");
    if ((flags & n[2]) != n[2] || turns == before)
        exit(95);
}

/* Whichever thread goes on after a pause that the host made ends the guest. */
static volatile u64 looks;

static void *feel_pause(void *pause) {
    for (u64 last = cycles(), now;; last = now, looks++)
        if ((now = cycles()) - last > *(volatile u64 *)pause)
            _exit(42);
}

static void pauses(const u64 *n) {
    static volatile u64 pause;
    pause = 1UL << 63;
    start(feel_pause, (void *)&pause);
    while (!looks) {
    }
    pause = n[0];
    puts("ready");
    fflush(stdout);
    feel_pause((void *)&pause);
}

/* The code that loads registers from a frame (x86_64/tick.S), found, and entered with another. */
static void forged_tick(const u64 *n) {
    static const unsigned char code[] = {0xff, 0xb7, 0xa8, 0, 0, 0, 0x8f, 0x05};
    static u64 frame[128];
    frame[20] = n[1], frame[21] = n[2], frame[22] = n[3];
    for (const unsigned char *at = (void *)n[0];; at++)
        if (memcmp(at, code, sizeof code) == 0)
            __asm__ volatile("jmp *%0" ::"r"(at), "D"(frame) : "memory");
}

/* A thread that asks for nothing but ticks, each of which puts off the last. */
static void ticks_at_stub(const u64 *n) {
    static volatile u64 turns;
    start(for_ever, (void *)&turns);
    for (;;)
        call_at(n[0], n + 1);
}

static void ticks_at_port(const u64 *n) {
    static volatile u64 turns;
    start(for_ever, (void *)&turns);
    for (;;)
        __asm__ volatile("outl %0, %1" ::"a"((u32)n[1]), "Nd"((uint16_t)n[0]) : "memory");
}

/* The terminal's hypercall at n[1] with the descriptor and request behind it: its result. */
static void terminal_block(const u64 *n) {
    memset((void *)n[1], 0, 64);
    memcpy((void *)n[1], n + 2, 16);
    __asm__ volatile("outl %0, %1" ::"a"((u32)n[1]), "Nd"((uint16_t)n[0]) : "memory");
    printf("%ld\n", ((const volatile long *)n[1])[7]);
}

/* Two threads that do the same attack: n[0] is 0 for spin(), 1 for call_loop(), 2 for faults. */
static void *again_and_again(void *which) {
    static attack *const all[] = {spin, call_loop, fault_loop};
    all[*(u64 *)which]((const u64[7]){0});
    return NULL;
}

static void both(const u64 *n) {
    static u64 which;
    which = n[0];
    start(again_and_again, &which);
    again_and_again(&which);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        attack *run;
    } more[] = {
        NAMED(faults_under_ticks), NAMED(odd_registers), NAMED(pauses), NAMED(forged_tick),
        NAMED(ticks_at_stub),      NAMED(ticks_at_port), NAMED(both),   NAMED(terminal_block)};
    u64 numbers[8] = {0};
    for (int i = 2; i < argc && i < 10; i++)
        numbers[i - 2] = strtoull(argv[i], NULL, 0);
    for (size_t i = 0; argc > 1 && i < sizeof more / sizeof more[0]; i++)
        if (strcmp(argv[1], more[i].name) == 0) {
            more[i].run(numbers);
            puts("survived");
            return 0;
        }
    return attacks_main(argc, argv);
}
