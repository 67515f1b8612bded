/* What the kernel makes of seccomp programs: cases come by standard input, each in a child of its
 * own, results go to standard output.  First of all the address behind the SYSCALL of all calls.
 *
 * A case: u32 instructions, u32 calls, the program, then 7 words a call: number and arguments.
 * Its results: 0 or -errno of the installation, then one word a call; DIED ends the case. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 70000, CALLS = 64 };
#define DIED INT64_MIN

extern const char behind_call[];

__attribute__((noinline)) static int64_t call(const uint64_t *n) {
    register uint64_t r10 __asm__("r10") = n[4], r8 __asm__("r8") = n[5], r9 __asm__("r9") = n[6];
    int64_t result;
    __asm__ volatile("syscall\n.globl behind_call\nbehind_call:"
                     : "=a"(result)
                     : "a"(n[0]), "D"(n[1]), "S"(n[2]), "d"(n[3]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static void child(struct sock_fprog program, const uint64_t *calls, uint32_t count, int64_t *out) {
    out[0] = syscall(SYS_seccomp, 1, 0, &program) ? -errno : 0;
    for (uint32_t i = 0; !out[0] && i < count; i++)
        out[1 + i] = call(calls + 7 * i);
    __builtin_trap();
}

int main(void) {
    static struct sock_filter program[MOST];
    static uint64_t calls[7 * CALLS];
    uint32_t head[2];
    uint64_t place = (uint64_t)behind_call;
    int64_t *out = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    fwrite(&place, 8, 1, stdout);
    while (fread(head, 8, 1, stdin) == 1) {
        if (head[0] > 65535 || head[1] > CALLS || fread(program, 8, head[0], stdin) != head[0] ||
            fread(calls, 56, head[1], stdin) != head[1])
            return 2;
        for (uint32_t i = 0; i <= head[1]; i++)
            out[i] = DIED;
        fflush(stdout);
        pid_t pid = fork();
        if (pid < 0)
            return 3;
        if (!pid)
            child((struct sock_fprog){(unsigned short)head[0], program}, calls, head[1], out);
        waitpid(pid, NULL, 0);
        fwrite(out, 8, 1 + head[1], stdout);
    }
    return 0;
}
