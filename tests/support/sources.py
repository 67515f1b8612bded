"""C texts that several tests run, how they end, and how they become programs."""

from __future__ import annotations

_MUSL = "/usr/lib/x86_64-linux-musl"

LINKS = {
    "musl": ("zig", ()),
    "glibc": ("gcc", ("-static",)),
    "glibc-pie": ("gcc", ("-static-pie",)),
    "musl-pie": (
        "gcc",
        (
            *("-specs", f"{_MUSL}/musl-gcc.specs", "-static", "-nostartfiles", "-fPIE"),
            *(f"{_MUSL}/{name}.o" for name in ("rcrt1", "crti", "crtn")),
            "-Wl,-pie,--no-dynamic-linker,-z,text",
        ),
    ),
}
"""Each libc and kind of link: a compiler and its flags.  Debian's musl where zig would have to
build one more of its own, which takes it a minute."""

HELLO = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int started;
__attribute__((constructor)) static void start(void) { started = 41; }
static _Thread_local int local = 1;
int main(int argc, char **argv) {
    char *p = malloc(1 << 20);
    memset(p, 7, 1 << 20);
    local += started;
    printf("%s %d %.3f %d %s\n", argv[1], local, 3.14159, p[99], getenv("HOME") ? "home" : "none");
    return 5;
}
"""

MISBEHAVE = r"""
#pragma clang optimize off
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int recurse(volatile char *p) { volatile char b[4096]; b[0] = *p; return recurse(b) + b[0]; }
const int constant = 1;
int main(int argc, char **argv) {
    char c = 1;
    switch (atoi(argv[1])) {
    case 0: *(volatile int *)8 = 1; break;
    case 1: __builtin_trap(); break;
    case 2: abort(); break;
    case 3: { volatile int zero = 0; return 1 / zero; }
    case 4: *(volatile int *)&constant = 2; break;
    case 5: { char code[16] = {(char)0xc3}; ((void (*)(void))code)(); break; }
    case 6: return recurse(&c);
    case 7: __asm__ volatile("hlt"); break;
    case 8: __asm__ volatile("int3"); break;
    case 9: *(volatile int *)0x8000000000000000 = 1; break;
    case 10: { void (*volatile nothing)(void) = 0; nothing(); break; }
    }
    return 0;
}
"""

ENDS = {
    0: (139, "wrote memory that it may not (0x8)"),
    1: (132, "executed an invalid instruction"),
    2: (134, "raised it by itself"),
    3: (136, "faulted"),
    4: (139, "wrote memory that it may not"),
    5: (139, "jumped to memory that is not executable"),
    6: (139, "exhausted its stack"),
    7: (139, "executed a privileged instruction"),
    8: (133, "faulted"),
    9: (139, "executed a privileged instruction or used a non-canonical address"),
    10: (139, "jumped to memory that is not executable (0x0)"),
}

HANDLE = r"""
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
static sigjmp_buf back;
static volatile int count;
static double keep = 1.5;
static void jump(int n, siginfo_t *i, void *c) { count++; siglongjmp(back, n); }
static void skip(int n, siginfo_t *i, void *context) {
    ucontext_t *c = context;
    double d = keep * 3; keep = d;
    c->uc_mcontext.gregs[REG_RIP] += 2;
    count += i->si_addr == (void *)(c->uc_mcontext.gregs[REG_RIP] - 2);
}
static void note(int n) { count += 10; }
int main(void) {
    struct sigaction a = {.sa_sigaction = jump, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &a, 0); sigaction(SIGFPE, &a, 0);
    int got = sigsetjmp(back, 1);
    if (got == 0) *(volatile int *)4 = 1;
    if (got == SIGSEGV) { volatile int z = 0; printf("%d\n", count * 12345 / z); }
    a.sa_sigaction = skip; sigaction(SIGILL, &a, 0);
    double x = 2.25;
    __asm__ volatile("movsd %0, %%xmm5\n ud2\n movsd %%xmm5, %0" : "+m"(x)::"xmm5");
    signal(SIGUSR1, note); raise(SIGUSR1); kill(getpid(), SIGUSR1);
    sigset_t all; sigfillset(&all); sigprocmask(SIG_BLOCK, &all, 0); raise(SIGUSR1);
    int before = count; sigprocmask(SIG_UNBLOCK, &all, 0);
    static char stack[65536]; stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternate, 0);
    printf("%d %d %d %.2f %.2f\n", got, before, count, x, keep);
    return 0;
}
"""

SOCKETS = r"""
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int argc, char **argv) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(argc)};
    socklen_t size = sizeof argc;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &argc, size);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &argc, &size);
    bind(fd, (struct sockaddr *)&at, sizeof at);
    listen(fd, 1);
    connect(fd, (struct sockaddr *)&at, sizeof at);
    return getchar() == 'a' ? accept(fd, 0, 0) + (int)send(fd, argv, 1, 0) : sleep(argc);
}
"""
