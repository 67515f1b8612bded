/* System calls, from anywhere and with anything. */
static void call(const u64 *n) {
    printf("%ld\n", call_at((u64)hidden + 1, n));
}

static void jump_call(const u64 *n) {
    printf("%ld\n", call_at(n[0], n + 1));
}

/* What the library OS asks of ring 0 (kvm), and then a write. */
typedef long gate(u64, u64, u64, u64);

static void ask_ring_0(const u64 *n) {
    printf("%ld\n", ((gate *)n[0])(n[1], n[2], n[3], n[4]));
    fflush(stdout);
    if (n[5])
        *(volatile char *)n[5] = 1;
}

/* Pages from n[1] down, each to where a table more is wanted, until there is none. */
static void use_up_tables(const u64 *n) {
    u64 moved = 0;
    while (((gate *)n[0])(n[1] - moved * 4096, n[2] + (moved << 30), 1, 0) == 0)
        moved++;
    printf("%d\n", moved > 100);
    for (u64 i = 0; i < moved; i++)
        *(volatile char *)(n[2] + (i << 30)) = 1;
}

/* Where from n[0] on SYSCALL's bytes lie, as far as there is memory. */
static void find_calls(const u64 *n) {
    catch_all();
    if (!sigsetjmp(back, 0))
        for (const volatile unsigned char *at = (void *)n[0];; at++)
            if (at[0] == 0x0f && at[1] == 0x05)
                printf("%p\n", (const void *)at);
}

/* Recent Linux lets these past every filter: without a probe they are SIGILL and -ENXIO. */
enum { URETPROBE = 335, UPROBE = 336 };

static bool left_out(u64 number) {
    return number == URETPROBE || number == UPROBE || number == SYS_exit ||
           number == SYS_exit_group || number == SYS_pause || number == SYS_rt_sigsuspend ||
           number == SYS_rt_sigreturn;
}

/* Every number with arguments that would leave traces; prints what is not ENOSYS. */
static void all_calls(const u64 *n) {
    static const char path[64] = "pwned\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff";
    for (u64 number = 0; number < 600; number++) {
        if (left_out(number))
            continue;
        const u64 plain[7] = {n[0] | number, (u64)path, 0102, 0, 0, 0, 0};
        const u64 at[7] = {n[0] | number, (u64)-100, (u64)path, 0102, 0777, 0, 0};
        long first = call_at((u64)hidden + 1, plain), second = call_at((u64)hidden + 1, at);
        if (first != -38 || second != -38)
            fprintf(stderr, "%lu ", number);
    }
}

/* Every number with addresses n[0..] that are not the program's, in each place. */
static void all_pointers(const u64 *n) {
    for (u64 number = 0; number < 600; number++) {
        if (left_out(number) || number == SYS_close || number == SYS_close_range)
            continue;
        for (const u64 *at = n; *at; at++) {
            const u64 everywhere[7] = {number, *at, *at, *at, *at, *at, *at};
            const u64 second[7] = {number, 0, *at, 100, *at, *at, 100};
            const u64 signal[7] = {number, 8, *at, *at, 100, *at, *at};
            const u64 first[7] = {number, *at, 100, *at, *at, *at, *at};
            const u64 message[7] = {SYS_msgrcv, 0, *at, 100, 0, 04000}; /* IPC_NOWAIT */
            if (number == SYS_msgrcv) {
                call_at((u64)hidden + 1, message);
                continue;
            }
            call_at((u64)hidden + 1, everywhere);
            call_at((u64)hidden + 1, second);
            call_at((u64)hidden + 1, signal);
            call_at((u64)hidden + 1, first);
        }
    }
}

/* write() from n[1..], ended by a zero, and read() to them, n[0] bytes each. */
static void transfers(const u64 *n) {
    for (const u64 *at = n + 1; *at; at++)
        printf("%ld %ld\n", call_at((u64)hidden + 1, (const u64[7]){SYS_write, 1, *at, n[0]}),
               call_at((u64)hidden + 1, (const u64[7]){SYS_read, 0, *at, n[0]}));
}

/* A vector that its own first part overwrites. */
static void vector_over_itself(const u64 *n) {
    static u64 vector[4];
    vector[0] = (u64)vector, vector[1] = sizeof vector;
    vector[2] = (u64)data, vector[3] = 8;
    printf("%ld\n", call_at((u64)hidden + 1, (const u64[7]){SYS_readv, 0, (u64)vector, 2}));
    (void)n;
}

/* Fill [n[1], n[2]) of the library OS's own memory with n[0], then ask it for something. */
static void scribble(const u64 *n) {
    for (volatile u64 *at = (u64 *)n[1]; at < (u64 *)n[2]; at++)
        *at = n[0];
    call_at((u64)hidden + 1, (const u64[7]){n[3], 1, (u64)constant, 8});
    poke((const u64[7]){0});
}

static void auxiliary(const u64 *n) {
    printf("%lx\n", getauxval(n[0]));
}

static void forged_frame(const u64 *n) {
    static u64 frame[128]; /* struct ucontext: sigcontext from word 5 on */
    frame[5 + 15] = n[0];  /* rsp */
    frame[5 + 16] = n[1];  /* rip */
    frame[5 + 17] = n[2];  /* rflags */
    frame[5 + 18] = 0x10;  /* cs of ring 0 */
    frame[5 + 23] = n[3];  /* fpstate */
    __asm__ volatile("mov %0, %%rsp\nmov $15, %%eax\njmp *%1" ::"r"(frame), "r"(hidden + 1)
                     : "memory");
}

/* To selector 0x23 in a process's 32-bit mode, and there system call 20 by `code`. */
#define SHORT_MODE(name, code)                                                                     \
    static void name(const u64 *n) {                                                               \
        __asm__ volatile("pushq $0x23\nlea 1f(%%rip), %%rax\npush %%rax\nlretq\n"                  \
                         "1: .byte 0xb8, 0x14, 0, 0, 0\n" code "\nud2" ::                          \
                             : "rax", "rcx", "r11", "memory");                                     \
        (void)n;                                                                                   \
    }
SHORT_MODE(short_interrupt, "int $0x80")
SHORT_MODE(short_syscall, "jmp hidden + 1")
SHORT_MODE(short_sysenter, "sysenter")
