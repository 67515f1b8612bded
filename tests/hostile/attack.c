/*
 * A hostile guest: argv[1] names an attack, the rest are its numbers.  An attack that the machine
 * lets pass returns, and main says so.  "instructions.h" is the text
 * that hostile_guest.py puts there.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

typedef uint64_t u64;
typedef void attack(const u64 *n);

static const volatile char constant[64] = {1};
static volatile char data[64] = {1};

#include "instructions.h"

/* --- what all of them use --- */

static sigjmp_buf back;

static void caught(int number) {
    siglongjmp(back, number);
}

static void handle(int number, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_NODEFER};
    sigaction(number, &action, NULL);
}

static void catch_all(void) {
    static const int faults[] = {SIGSEGV, SIGILL, SIGTRAP, SIGBUS, SIGFPE};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        handle(faults[i], caught);
}

/* Whether code at `at` ends with a fault; some kinds of host make SIGILL of a #GP. */
static bool refused_at(const void *at, u64 rdx) {
    int got = sigsetjmp(back, 0);
    if (got == 0) {
        u64 rax = 0, rsi = (u64)data, rdi = (u64)data;
        __asm__ volatile("lea -128(%%rsp), %%rsp\ncall *%[at]\nlea 128(%%rsp), %%rsp"
                         : "+a"(rax), "+d"(rdx), "+S"(rsi), "+D"(rdi)
                         : [at] "r"(at)
                         : "rcx", "memory", "cc");
    }
    return got == SIGSEGV || got == SIGILL;
}

/* A SYSCALL that no rewriter sees: it lies inside another instruction. */
__asm__(".balign 16\n.type hidden, @function\nhidden: mov $0x90c3050f, %eax\nret\n");
extern const char hidden[];

/* Below the red zone: the compiler does not see that the stack is used. */
static long call_at(u64 at, const u64 *n) {
    register u64 r10 __asm__("r10") = n[4];
    register u64 r8 __asm__("r8") = n[5];
    register u64 r9 __asm__("r9") = n[6];
    long result;
    __asm__ volatile("lea -128(%%rsp), %%rsp\ncall *%[at]\nlea 128(%%rsp), %%rsp"
                     : "=a"(result)
                     : [at] "b"(at), "a"(n[0]), "D"(n[1]), "S"(n[2]), "d"(n[3]), "r"(r10), "r"(r8),
                       "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* --- memory --- */

static void peek(const u64 *n) {
    (void)*(volatile const char *)n[0];
}

static void poke(const u64 *n) {
    *(volatile char *)n[0] = (char)0xc3;
}

static void run(const u64 *n) {
    ((void (*)(void))n[0])();
}

static void poke_text(const u64 *n) {
    poke((const u64[]){(u64)poke});
    (void)n;
}

static void poke_constant(const u64 *n) {
    poke((const u64[]){(u64)constant});
    (void)n;
}

static void run_data(const u64 *n) {
    data[0] = (char)0xc3;
    run((const u64[]){(u64)data});
    (void)n;
}

static void run_stack(const u64 *n) {
    volatile char code[16] = {(char)0xc3};
    run((const u64[]){(u64)code});
    (void)n;
}

static void run_heap(const u64 *n) {
    char *code = malloc(1 << 20);
    code[0] = (char)0xc3;
    run((const u64[]){(u64)code});
    (void)n;
}

/* With rights asked for: whatever the answer is, the pages stay as they were. */
static void patch(const u64 *n) {
    u64 page = n[0] & -4096UL;
    long got[] = {
        mprotect((void *)page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC),
        munmap((void *)page, 4096),
        (long)mmap((void *)page, 4096, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
        (long)mremap((void *)data, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)page)};
    for (size_t i = 2; i < 4; i++)
        if (got[i] != -1)
            puts("mapped");
    fflush(stdout);
    poke(n);
}

static int recurse(volatile char *from) {
    volatile char here[4096];
    here[0] = *from;
    return recurse(here) + here[0];
}

static void exhaust_stack(const u64 *n) {
    recurse(data);
    (void)n;
}

static void set_stack(const u64 *n) {
    __asm__ volatile("mov %0, %%rsp\npush %%rax\n" ::"r"(n[0]));
}

static void exhaust_memory(const u64 *n) {
    size_t total = 0;
    for (size_t size = 64 << 20; size >= 4096; size /= 2)
        for (char *p; (p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                                0)) != MAP_FAILED;
             total += size)
            memset(p, 0xaa, size);
    static char line[32];
    total >>= 20;
    line[0] = (char)('0' + total / 10), line[1] = (char)('0' + total % 10), line[2] = '\n';
    write(1, line, 3);
    (void)n;
}

/* --- flags --- */

static void set_flags(u64 flags) {
    __asm__ volatile("push %0\npopf" ::"r"(flags) : "cc", "memory");
}

static void alignment_check(const u64 *n) {
    set_flags(0x40202);
    __asm__ volatile("mov %%eax, (%0)" ::"r"(data + 1) : "memory");
    (void)n;
}

static void alignment_call(const u64 *n) {
    set_flags(0x40202);
    call_at((u64)hidden + 1, (const u64[7]){SYS_getpid});
    set_flags(0x202);
    (void)n;
}

static void alignment_fault(const u64 *n) {
    set_flags(0x40202);
    poke(n);
}

static void single_step(const u64 *n) {
    __asm__ volatile("pushf\norl $0x100, (%%rsp)\npopf\nnop\nnop" ::: "cc", "memory");
    (void)n;
}

static void single_step_call(const u64 *n) {
    __asm__ volatile("pushf\norl $0x100, (%%rsp)\nmov $39, %%eax\nlea hidden+1(%%rip), %%rcx\n"
                     "popf\ncall *%%rcx" ::
                         : "rax", "rcx", "r11", "cc", "memory");
    (void)n;
}

static void nested_task(const u64 *n) {
    set_flags(0x4202);
    __builtin_trap();
    (void)n;
}

static void input_output_level(const u64 *n) {
    set_flags(0x3202);
    __asm__ volatile("cli");
    (void)n;
}

/* --- sweeps --- */

__asm__(".type interrupts, @function\n.type ports, @function\n.balign 16\ninterrupts:\n.set "
        "vector, 0\n.rept 256\n.byte 0xcd, vector\nret\nnop\n"
        ".set vector, vector + 1\n.endr\n"
        "ports:\n"
        "out %al, %dx\nret\n.balign 4\nout %ax, %dx\nret\n.balign 4\nout %eax, %dx\nret\n"
        ".balign 4\nin %dx, %al\nret\n.balign 4\nin %dx, %ax\nret\n.balign 4\nin %dx, %eax\nret\n"
        ".balign 4\noutsb\nret\n.balign 4\noutsw\nret\n.balign 4\noutsl\nret\n"
        ".balign 4\ninsb\nret\n.balign 4\ninsw\nret\n.balign 4\ninsl\nret\n");
extern const char interrupts[], ports[];

/* Every vector but those that the machine or Linux gives meaning: 3 and 0x80. */
static void all_interrupts(const u64 *n) {
    int refused = 0;
    catch_all();
    for (u64 vector = 0; vector < 256; vector++)
        if (vector != 3 && vector != 0x80)
            refused += refused_at(interrupts + 4 * vector, 0);
    printf("%d\n", refused);
    (void)n;
}

static void one_interrupt(const u64 *n) {
    ((void (*)(void))(interrupts + 4 * n[0]))();
}

/* Form n[0] of port instructions on every port outside of [n[1], n[2]), n[3] apart. */
static void all_ports(const u64 *n) {
    int refused = 0, tried = 0;
    catch_all();
    for (u64 port = 0; port < 65536; port += port < 0x600 ? 1 : n[3]) {
        if (port >= n[1] && port < n[2])
            continue;
        tried++;
        refused += refused_at(ports + 4 * n[0], port);
    }
    printf("%s\n", tried > 1000 && refused == tried ? "all" : "some");
}

/* Form n[0] on port n[1] with n[2]. */
static void one_port(const u64 *n) {
    memcpy((void *)data, &n[2], 8);
    __asm__ volatile("lea -128(%%rsp), %%rsp\ncall *%[at]\nlea 128(%%rsp), %%rsp"
                     :
                     : [at] "r"(ports + 4 * n[0]), "a"(n[2]), "d"(n[1]), "S"(data), "D"(data)
                     : "memory");
}

/* A hypercall on port n[0] with the words n[2..] at n[1], which are printed afterwards. */
static void block(const u64 *n) {
    memcpy((void *)n[1], n + 2, 32);
    __asm__ volatile("outl %0, %1" ::"a"((uint32_t)n[1]), "Nd"((uint16_t)n[0]) : "memory");
    u64 after[4];
    memcpy(after, (void *)n[1], 32);
    printf("%lx %lx %lx %lx\n", after[0], after[1], after[2], after[3]);
}

/* As block(), of five words, and only the last is printed: the result of a device. */
static void device_block(const u64 *n) {
    memcpy((void *)n[1], n + 2, 40);
    __asm__ volatile("outl %0, %1" ::"a"((uint32_t)n[1]), "Nd"((uint16_t)n[0]) : "memory");
    printf("%ld\n", ((const volatile long *)n[1])[4]);
}

/* As device_block(), and at n[0] is a page that could be an entry of the table of devices. */
static void forged_device(const u64 *n) {
    for (size_t i = 0; i < 1024; i++)
        ((volatile uint32_t *)n[0])[i] = 1;
    device_block(n + 1);
}

/* --- system calls --- */

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

/* --- time and output --- */

static void block_signals(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    signal(SIGALRM, SIG_IGN);
}

static void spin(const u64 *n) {
    block_signals();
    __asm__ volatile("mov %0, %%rsp\n1: jmp 1b" ::"r"(n[0]));
}

static void sleep_on(const u64 *n) {
    block_signals();
    for (;;)
        sleep(1000);
    (void)n;
}

static void again(int number) {
    (void)number;
}

static void fault_loop(const u64 *n) {
    handle(SIGSEGV, again);
    poke(n);
}

static void call_loop(const u64 *n) {
    for (;;)
        call_at((u64)hidden + 1, (const u64[7]){SYS_getpid});
    (void)n;
}

static void flood(const u64 *n) {
    static char many[1 << 16];
    for (u64 i = 0;; i++)
        write(n[0] == 3 ? 1 + (int)(i & 1) : (int)n[0], many, sizeof many);
}

static void ready(const u64 *n) {
    puts("ready");
    fflush(stdout);
    getchar();
    (void)n;
}

#define NAMED(attack) {#attack, attack}

static const struct {
    const char *name;
    attack *run;
} attacks[] = {INSTRUCTIONS,          NAMED(peek),
               NAMED(poke),           NAMED(run),
               NAMED(poke_text),      NAMED(poke_constant),
               NAMED(run_data),       NAMED(run_stack),
               NAMED(run_heap),       NAMED(patch),
               NAMED(exhaust_stack),  NAMED(set_stack),
               NAMED(exhaust_memory), NAMED(alignment_check),
               NAMED(alignment_call), NAMED(alignment_fault),
               NAMED(single_step),    NAMED(single_step_call),
               NAMED(nested_task),    NAMED(input_output_level),
               NAMED(all_interrupts), NAMED(one_interrupt),
               NAMED(all_ports),      NAMED(one_port),
               NAMED(block),          NAMED(device_block),
               NAMED(forged_device),  NAMED(call),
               NAMED(jump_call),      NAMED(find_calls),
               NAMED(ask_ring_0),     NAMED(use_up_tables),
               NAMED(all_calls),      NAMED(all_pointers),
               NAMED(transfers),      NAMED(vector_over_itself),
               NAMED(auxiliary),      NAMED(scribble),
               NAMED(forged_frame),   NAMED(short_interrupt),
               NAMED(short_syscall),  NAMED(short_sysenter),
               NAMED(spin),           NAMED(sleep_on),
               NAMED(fault_loop),     NAMED(call_loop),
               NAMED(flood),          NAMED(ready)};

int main(int argc, char **argv) {
    u64 numbers[24] = {0};
    for (int i = 2; i < argc && i < 26; i++)
        numbers[i - 2] = strtoull(argv[i], NULL, 0);
    for (size_t i = 0; argc > 1 && i < sizeof attacks / sizeof attacks[0]; i++)
        if (strcmp(argv[1], attacks[i].name) == 0) {
            attacks[i].run(numbers);
            puts("survived");
            return 0;
        }
    return 99;
}
