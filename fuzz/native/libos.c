/*
 * System calls of a hostile program, to the whole library OS at once.
 *
 * Between two inputs everything that it remembers is put back.  A bad pointer faults as
 * in a guest and gives EFAULT; a panic, a sanitizer's complaint, memory given twice or
 * a call without end is a find.  The program's memory has unmapped pages around it.
 */
#include "core/alarm.h"
#include "core/start.h"
#include "core/thread.h"
#include "core/tick.h"
#include "linux.h"
#include "parts/memory/maps.h"
#include "parts/memory/placed.h"
#include "parts/snapshot/snapshot.h"
#include "parts/sockets/abi.h"
#include "parts/volumes/reach.h"
#include "parts/sockets/outside.h"
#include "parts/terminals/reach.h"
#include "tree_size.h"

#pragma GCC visibility push(default)
struct siginfo;
struct handler {
    void (*act)(int, struct siginfo *, void *);
    u64 mask[16];
    int flags;
    void (*restorer)(void);
};
int dprintf(int fd, const char *format, ...);
_Noreturn void abort(void);
int _setjmp(long *buffer);
_Noreturn void longjmp(long *buffer, int value);
void *mmap(void *at, size_t size, int access, int flags, int fd, long offset);
int sigaction(int number, const struct handler *action, struct handler *old);
void *malloc(size_t size);
extern u8 __start_osdata[], __stop_osdata[], __start_osbss[], __stop_osbss[];
#pragma GCC visibility pop

#define POOL 0x20000000UL
#define POOL_SIZE 0x8000UL
#define READ_ONLY 0x20100000UL
#define ARENA 0x30000000UL
#define ARENA_SIZE 0x100000UL
#define STACK 0x40000000UL

extern const u8 packed_tree[];
struct boot_info boot_info;
const struct host_time *const guest_time = &host_time;
const struct placed_ops *const guest_placed;
const struct network *const outside_network;
const struct outside_broker *const outside_broker;
const struct outside_log *const outside_log;
const struct volumes *const guest_volumes;
const struct snapshot_ops *const guest_snapshot;
const bool snapshot_sealed;
const bool snapshot_hidden;
const bool snapshot_waits;
const struct terminals *const guest_terminals = &own_terminals;
void (*const host_terminal)(struct terminal *block);
void (*const tick_for_timers)(void);
struct alarms alarms;
struct trap_frame trap_frame;
const struct guest_memory *const guest_memory = NULL;
const struct file_ops *const block_device_ops = &block_ops, *const net_device_ops = &net_ops;
static struct {
    u32 version, count;
    struct mft_entry entries[3];
} devices = {1,
             3,
             {{.type = 1U << 30},
              {.name = "disk", .type = DEVICE_BLOCK, .capacity = 40000, .block_size = 512},
              {.name = "wire", .type = DEVICE_NET, .capacity = 1500UL << 48}}};

static u64 no_words[8]; /* no arguments, no environment, an empty auxiliary vector */
u64 *program_stack = no_words;

/* Assembly, for threads, of which there is one here. */
const u8 thread_begin[1];
void thread_switch(u64 *from, u64 to, u64 vectors);
void thread_switch(u64 *from, u64 to, u64 vectors) {
    (void)from, (void)to, (void)vectors;
    abort();
}

/* Assembly, for ticks, of which none comes: the program does not compute. */
const u8 tick_leave_end[1];

void tick_on_own_stack(const struct regs *regs) {
    (void)regs;
    abort();
}

void tick_leave(const void *context) {
    (void)context;
    abort();
}

void tick_leave_again(const void *context) {
    (void)context;
    abort();
}

const struct guest_info guest_info = {.image_lo = POOL,
                                      .image_hi = POOL + POOL_SIZE,
                                      .arena_lo = ARENA,
                                      .arena_hi = ARENA + ARENA_SIZE,
                                      .stack_lo = STACK,
                                      .stack_hi = STACK + PAGE,
                                      .devices = (u64)&devices,
                                      .tree = (u64)packed_tree,
                                      .tree_size = PACKED_TREE_SIZE,
                                      .name = (u64) "/program",
                                      .vector_state = 512};

static const u8 *input, *input_end;
static long ended[64], faulted[64];
#define CENTURY (100L * 365 * 86400 * NANOSECONDS)
static u64 now_is;
static u8 *before;
static u8 disk[40000];

static u64 take(u64 size) {
    u64 value = 0;
    for (u64 i = 0; i < size && input < input_end; i++)
        value |= (u64)*input++ << 8 * i;
    return value;
}

/* --- the outside --- */

void syscall_entry_flags(void) {
    abort(); /* only its address is asked for */
}

void resume(const struct regs *regs) {
    (void)regs;
    longjmp(ended, 1);
}

void serve_on_own_stack(const struct regs *regs) {
    (void)regs;
    longjmp(ended, 1);
}

void hypercall_exit(struct guest_exit *block) {
    (void)block;
    longjmp(ended, 1);
}

static s64 moved(u64 length) {
    u64 how = take(1);
    return how < 8 ? -EIO : how < 16 ? 0 : how < 64 ? (s64)MIN(length, how) : (s64)length;
}

static const char panic_line[] = "limpet: fault of the library OS: ";
static const char no_memory[] = "limpet: fault of the library OS: no memory ";

static bool begins(const struct console_out *block, const char *text) {
    u64 size = strlen(text);
    return block->length >= size && !memcmp((const char *)block->address, text, size);
}

void hypercall_console_out(struct console_out *block) {
    const volatile u8 *from = (const volatile u8 *)block->address;
    if (block->length && current->call)
        (void)from[0], (void)from[block->length - 1];
    if (block->fd == 2 && begins(block, panic_line)) {
        if (begins(block, no_memory)) /* the program took it all: an end, as on Linux */
            longjmp(ended, 1);
        dprintf(2, "%.*s", (int)block->length, (const char *)block->address);
        abort();
    }
    block->result = moved(block->length);
}

void hypercall_console_in(struct console_in *block) {
    u64 most = MIN(block->length, take(1));
    for (u64 i = 0; i < most; i++)
        ((volatile u8 *)block->address)[i] = (u8)take(1);
    block->result = (s64)most;
}

void hypercall_protect(struct protect *block) {
    (void)block;
    abort(); /* the plan has none */
}

void hypercall_place(struct place *block) {
    (void)block;
    abort();
}

void (*const host_execute)(struct execute *block) = NULL; /* no --jit */
void (*const host_load)(struct load *block) = NULL;

void hypercall_entropy(struct entropy *block) {
    memset(block->bytes, 5, sizeof block->bytes);
}

void hypercall_wait(struct wait *block) {
    if ((block->deadline < 0 && !block->want) || block->deadline > CENTURY)
        longjmp(ended, 1); /* for ever */
    if (block->deadline > 0 && (u64)block->deadline > now_is)
        now_is = (u64)block->deadline;
    now_is += 1000;
    block->ready = block->want & (take(1) | 1);
    if (block->deadline < 0 && !block->ready)
        longjmp(ended, 1); /* nothing is left that could come */
    block->monotonic = now_is;
    block->realtime = now_is + 1600000000000000000UL;
}

/* Nobody sends signals from outside. */
void hypercall_attend(struct attend *block) {
    struct wait same = {.deadline = block->deadline, .want = block->want};
    hypercall_wait(&same);
    block->ready = same.ready;
    block->monotonic = same.monotonic, block->realtime = same.realtime;
    block->signal = 0;
}

long outside_refused(const struct socket *socket, const struct endpoint *to) {
    (void)socket;
    (void)to;
    return -ENETUNREACH;
}

void hypercall_tick(struct tick *block) {
    (void)block; /* asked for, and never sent */
}

void hypercall_block_read(struct block_read *block) {
    if (block->device != 1 || block->offset > sizeof disk ||
        block->length > sizeof disk - block->offset)
        abort();
    s64 size = moved(block->length);
    if (size > 0)
        memcpy((void *)block->address, disk + block->offset, (size_t)size);
    block->result = size;
}

void hypercall_block_write(struct block_write *block) {
    if (block->device != 1 || block->offset > sizeof disk ||
        block->length > sizeof disk - block->offset)
        abort();
    s64 size = moved(block->length);
    if (size > 0)
        memcpy(disk + block->offset, (const void *)block->address, (size_t)size);
    block->result = size;
}

void hypercall_block_flush(struct block_flush *block) {
    block->result = 0;
}

void hypercall_net_read(struct net_read *block) {
    s64 size = MIN(moved(block->length), 1518);
    if (size > 0)
        memset((void *)block->address, 6, (size_t)size);
    block->result = size ? size : -EAGAIN;
}

void hypercall_net_write(struct net_write *block) {
    const volatile u8 *from = (const volatile u8 *)block->address;
    if (block->length)
        (void)from[0], (void)from[block->length - 1];
    block->result = moved(block->length);
}

/* --- one input --- */

static const u64 ends[] = {0,
                           1,
                           8,
                           4096,
                           65536,
                           POOL,
                           POOL + POOL_SIZE,
                           READ_ONLY,
                           READ_ONLY + PAGE,
                           ARENA,
                           ARENA + ARENA_SIZE,
                           1UL << 31,
                           1UL << 32,
                           1UL << 63,
                           ~0UL,
                           ~0UL << 12,
                           1UL << 47};

static u64 results[8];

static u64 value(void) {
    u64 kind = take(1);
    if (kind < 110) /* into the program's memory */
        return POOL + take(2) % POOL_SIZE;
    if (kind < 160)
        return take(1);
    if (kind < 176)
        return results[kind % COUNT(results)] + (u64)(s64)(signed char)take(1) * (kind & 1);
    if (kind < 190)
        return take(4);
    if (kind < 200)
        return POOL + POOL_SIZE - take(1);
    return ends[kind % COUNT(ends)] + (u64)(s64)(signed char)take(1);
}

static void fault(int number, struct siginfo *info, void *context) {
    (void)number, (void)info, (void)context;
    if (!current->call)
        abort();
    longjmp(faulted, 1);
}

static void set_up(void) {
    const u64 areas[][3] = {
        {POOL, POOL_SIZE, 3}, {READ_ONLY, PAGE, 1}, {ARENA, ARENA_SIZE, 3}, {STACK, PAGE, 3}};
    for (u64 i = 0; i < COUNT(areas); i++)
        if ((u64)mmap((void *)areas[i][0], areas[i][1], (int)areas[i][2], 0x100022, -1, 0) !=
            areas[i][0])
            abort();
    boot_info.backend = BACKEND_KVM, boot_info.tsc_khz = 1000000;
    for (u64 i = 0; i < 3; i++)
        boot_info.stdio[i].mode = i ? 0100644 : 0020600, boot_info.stdio[i].is_tty = !i;
    u64 size = (u64)(__stop_osdata - __start_osdata);
    before = malloc(size);
    memcpy(before, __start_osdata, size);
    const struct handler action = {.act = fault, .flags = 0x40000000};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

static void start_over(void) {
    memcpy(__start_osdata, before, (u64)(__stop_osdata - __start_osdata));
    memset(__start_osbss, 0, (u64)(__stop_osbss - __start_osbss));
    memset((void *)ARENA, 0, ARENA_SIZE);
    memset((void *)POOL, 0, POOL_SIZE);
    memset(results, 0, sizeof results);
    now_is = 1000000000;
    thread_start();
}

static const char *const names[] = {"/a",       "d/b",  "/d",        "..",        "l",
                                    "new",      "/d/n", "/",         "/dev/disk", "/dev/net/tun",
                                    "/dev/tty", "d/l",  "/dev/zero", "/dev/ptmx", "/dev/pts/0"};

static void call(void) {
    u64 number = take(1) | (take(1) & 1) << 8, arguments[6];
    for (u64 i = 0; i < 6; i++)
        arguments[i] = value();
    struct regs regs = {.rsp = POOL + POOL_SIZE / 2, .rip = POOL};
    if (_setjmp(faulted)) {
        current->call = NULL;
        return;
    }
    current->call = &regs;
    long result = dispatch((long)number, (long)arguments[0], (long)arguments[1], (long)arguments[2],
                           (long)arguments[3], (long)arguments[4], (long)arguments[5]);
    current->call = NULL;
    bool maps = number == 9 || number == 25;
    if (maps && result >= 0 && !mapping_at((u64)result))
        abort(); /* memory that is not the program's */
    results[number % COUNT(results)] = (u64)result;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size) {
    if (!before)
        set_up();
    start_over();
    input = data, input_end = data + size;
    for (u64 i = 0; i < COUNT(names); i++)
        memcpy((void *)(POOL + 64 * i), names[i], strlen(names[i]));
    if (!_setjmp(ended)) {
        while (input < input_end) {
            u64 what = take(1);
            if (what < 192)
                call();
            else if (what < 224) /* words, for what has pointers in it */
                for (u64 at = take(2) % (POOL_SIZE - 64) & ~7UL, i = 0; i < 4; i++)
                    ((u64 *)(POOL + (at & ~7UL)))[i] = value();
            else
                *(u8 *)(POOL + take(2) % POOL_SIZE) = (u8)take(1);
        }
    }
    current->call = NULL;
    if (pages_free_count() > ARENA_SIZE / PAGE)
        abort();
    return 0;
}
