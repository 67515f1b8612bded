/* The spt ABI: system calls of the guest's own. */
#include "abi.h"

struct boot_info {
    u64 memory_size, kernel_end;
    const char *command_line;
    const struct manifest *manifest;
    int epoll, timer;
};

const char *command_line;
const struct manifest *manifest;
u64 memory_size;
static int epoll, timer;

static long call(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

void put(const char *text, u64 size) {
    call(1, 1, (long)text, (long)size, 0, 0, 0);
}

_Noreturn void leave(int status) {
    for (;;)
        call(231, status, 0, 0, 0, 0, 0);
}

static u64 ask_clock(long which) {
    s64 time[2];
    call(228, which, (long)time, 0, 0, 0, 0);
    return (u64)(time[0] * 1000000000 + time[1]);
}

u64 wall_clock(void) {
    return ask_clock(0);
}

u64 clock(void) {
    return ask_clock(1);
}

u64 wait_until(u64 deadline) {
    struct {
        u32 events;
        u64 data;
    } __attribute__((packed)) events[4];
    s64 at[4] = {0, 0, (s64)(deadline / 1000000000), (s64)(deadline % 1000000000) | 1};
    u64 ready = 0;
    call(286, timer, 1, (long)at, 0, 0, 0);
    long count = call(281, epoll, (long)events, 4, -1, 0, 0);
    for (long i = 0; i < count; i++)
        if (events[i].data < 64)
            ready |= 1UL << events[i].data;
    return ready;
}

static long descriptor(u64 handle) {
    return (long)manifest->devices[handle].handle;
}

int block_read(u64 offset, void *to, u64 size) {
    long got = call(17, descriptor(STORAGE), (long)to, (long)size, (long)offset, 0, 0);
    return got == (long)size ? OK : EUNSPEC;
}

int block_write(u64 offset, const void *from, u64 size) {
    long got = call(18, descriptor(STORAGE), (long)from, (long)size, (long)offset, 0, 0);
    return got == (long)size ? OK : EUNSPEC;
}

int net_read(void *to, u64 *size) {
    long got = call(0, descriptor(SERVICE), (long)to, (long)*size, 0, 0, 0);
    if (got > 0)
        *size = (u64)got;
    return got > 0 ? OK : got == -11 ? AGAIN : EUNSPEC;
}

int net_write(const void *from, u64 size) {
    long got = call(1, descriptor(SERVICE), (long)from, (long)size, 0, 0, 0);
    return got == (long)size ? OK : EUNSPEC;
}

void set_tls(u64 base) {
    call(158, 0x1002, (long)base, 0, 0, 0, 0);
}

/* "call N A B C D": any system call at all. */
void attack(const char *command) {
    long words[6] = {0};
    for (int i = 0; i < 6; i++) {
        while (*command == ' ')
            command++;
        for (; *command >= '0' && *command <= '9'; command++)
            words[i] = words[i] * 10 + *command - '0';
    }
    call(words[0], words[1], words[2], words[3], words[4], words[5], 0);
    put("survived\n", 9);
    leave(77);
}

void begin(const struct boot_info *boot);
void begin(const struct boot_info *boot) {
    command_line = boot->command_line;
    manifest = boot->manifest;
    memory_size = boot->memory_size;
    epoll = boot->epoll, timer = boot->timer;
    run();
}

__asm__(".globl start\nstart: jmp begin\n");
