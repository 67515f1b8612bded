/*
 * The hvt ABI: hypercalls through ports, and the ring-0 start-up code that such a guest
 * brings: its own descriptor tables, and handlers that report an exception.
 */
#include "abi.h"

struct boot_info {
    u64 memory_size, kernel_end, cycles;
    const char *command_line;
    const struct manifest *manifest;
    u32 host_features, guest_features;
    u64 ring;
};

const char *command_line;
const struct manifest *manifest;
u64 memory_size;
static u64 cycles;

/* As Solo5's bindings make one: where the number is a constant, so is the port. */
static inline __attribute__((always_inline)) void hypercall(u16 number, volatile void *block) {
    __asm__ volatile("outl %0, %1" ::"a"((u32)(u64)block), "d"((u16)(0x500 + number)) : "memory");
}

void put(const char *text, u64 size) {
    volatile u64 block[2] = {(u64)text, size};
    hypercall(2, block);
}

_Noreturn void leave(int status) {
    struct {
        u64 cookie;
        int status;
    } block = {0, status};
    for (;;)
        hypercall(8, &block);
}

u64 wall_clock(void) {
    volatile u64 now = 0;
    hypercall(1, &now);
    return now;
}

u64 clock(void) {
    u32 low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    u64 ticks = (u64)high << 32 | low, seconds = ticks / cycles;
    return seconds * 1000000000 + (ticks % cycles) * 1000000000 / cycles;
}

u64 wait_until(u64 deadline) {
    u64 now = clock();
    volatile u64 block[3] = {deadline > now ? deadline - now : 0, 0, 0};
    hypercall(3, block);
    return block[1];
}

static int block_call(u16 number, u64 handle, u64 offset, const void *data, u64 size) {
    volatile u64 block[5] = {handle, offset, (u64)data, size, 99};
    hypercall(number, block);
    return (int)block[4];
}

int block_read(u64 offset, void *to, u64 size) {
    return block_call(5, STORAGE, offset, to, size);
}

int block_write(u64 offset, const void *from, u64 size) {
    return block_call(4, STORAGE, offset, from, size);
}

int net_read(void *to, u64 *size) {
    volatile u64 block[4] = {SERVICE, (u64)to, *size, 99};
    hypercall(7, block);
    *size = block[2];
    return (int)block[3];
}

int net_write(const void *from, u64 size) {
    volatile u64 block[4] = {SERVICE, (u64)from, size, 99};
    hypercall(6, block);
    return (int)block[3];
}

void set_tls(u64 base) {
    __asm__ volatile("wrmsr" ::"c"(0xc0000100), "a"((u32)base), "d"((u32)(base >> 32)));
}

enum { WORDS = 10 };

/* "call poke PLACE VALUE ...": 32 bits each of memory that is not the guest's own business, and a
 * read of a frame, straight from the monitor. */
static void poke(const u64 *words) {
    static u8 room[1 << 17];
    volatile u16 number = 7;
    volatile u64 block[4] = {SERVICE, (u64)room, sizeof room, 99};
    for (int i = 0; i < WORDS && words[i]; i += 2)
        *(volatile u32 *)words[i] = (u32)words[i + 1];
    hypercall(number, block);
    bool real = block[2] >= 14 && block[2] <= 1518; /* of the host's own, which it sends at times */
    block[3] || real ? put("nothing", 7) : put("taken", 5);
}

/* "call PORT A B C D E": any hypercall, its block of five words; PORT in decimal. */
void attack(const char *command) {
    u64 words[WORDS] = {0};
    bool pokes = command[0] == 'p';
    command += pokes ? 4 : 0;
    for (int i = 0; i < WORDS; i++) {
        while (*command == ' ')
            command++;
        for (; *command >= '0' && *command <= '9'; command++)
            words[i] = words[i] * 10 + (u64)(*command - '0');
    }
    if (pokes) {
        poke(words);
    } else if (words[1] == 1) { /* "call PORT 1 ADDRESS": the block itself is elsewhere */
        hypercall((u16)(words[0] - 0x500), (void *)words[2]);
    } else {
        volatile u64 block[5] = {words[1], words[2], words[3], words[4], words[5]};
        hypercall((u16)(words[0] - 0x500), block);
        put("result ", 7);
        put(&"0123456789"[(int)block[4] % 10], 1);
    }
    put(" survived\n", 10);
    leave(77);
}

static u64 gdt[5] = {0, 0x00af99000000ffff, 0x00cf93000000ffff, 0, 0};
static u64 idt[32][2];
static u8 tss[104], trap_stack[8192] __attribute__((aligned(16)));
extern char trap_entries[];

void report(u64 vector, const u64 *frame);
void report(u64 vector, const u64 *frame) {
    static const char digits[] = "0123456789abcdef";
    char line[] = "trap .. error .. cr2 ........\n";
    line[5] = digits[vector >> 4 & 15], line[6] = digits[vector & 15];
    line[14] = digits[frame[1] >> 4 & 15], line[15] = digits[frame[1] & 15];
    for (int i = 0; i < 8; i++)
        line[21 + i] = digits[frame[0] >> (28 - 4 * i) & 15];
    put(line, sizeof line - 1);
    leave(200);
}

static void set_tables(void) {
    struct {
        u16 limit;
        u64 base;
    } __attribute__((packed)) at = {sizeof gdt - 1, (u64)gdt};
    u64 base = (u64)tss;
    *(u64 *)(tss + 36) = (u64)trap_stack + sizeof trap_stack;
    gdt[3] = 103 | (base & 0xffffff) << 16 | 0x89UL << 40 | (base >> 24 & 0xff) << 56;
    gdt[4] = base >> 32;
    __asm__ volatile("lgdt %0\npushq $8\npushq $1f\nlretq\n1:\n"
                     "mov %1, %%ss\nmov %1, %%ds\nmov %1, %%es\nltr %w2" ::"m"(at),
                     "r"(16), "r"(24)
                     : "memory");
    for (u64 i = 0; i < 32; i++) {
        u64 entry = (u64)trap_entries + 32 * i;
        idt[i][0] = (entry & 0xffff) | 8UL << 16 | 0x8e01UL << 32 | (entry >> 16 & 0xffff) << 48;
        idt[i][1] = entry >> 32;
    }
    at.limit = sizeof idt - 1, at.base = (u64)idt;
    __asm__ volatile("lidt %0" ::"m"(at));
}

void begin(const struct boot_info *boot);
void begin(const struct boot_info *boot) {
    command_line = boot->command_line;
    manifest = boot->manifest;
    memory_size = boot->memory_size;
    cycles = boot->cycles;
    set_tables();
#ifdef RING_0
    __asm__ volatile("rdmsr" ::"c"(0xc0000080) : "eax", "edx");
#endif
    run();
}

__asm__(".globl start\nstart: jmp begin\n"
        ".balign 32\ntrap_entries:\n"
        ".set vector, 0\n.rept 32\n.balign 32\n"
        ".if vector != 8 && (vector < 10 || vector > 14) && vector != 17\npush $0\n.endif\n"
        "cld\nmov %cr2, %rdi\npush %rdi\nmov $vector, %edi\nmov %rsp, %rsi\nand $-16, %rsp\ncall "
        "report\n"
        ".set vector, vector + 1\n.endr\n");
