/*
 * The library OS: Linux system calls as function calls, inside the guest.
 *
 * It shares ring 3 and one address space with the program that it serves, so
 * nothing here defends the host: that is the monitor's work.  What this code owes
 * is correctness to the program, and no answer that Linux would not have given.
 *
 * Rules for every part:
 *  - compiled with general registers only: a system call keeps vector registers;
 *  - one thread at a time, no interrupts: no locks; only park (core/park.h) waits;
 *  - a pointer from the program may be bad.  A fault while a system call runs ends
 *    that call with -EFAULT (core/trap.c), so touch the program's memory before
 *    changing any state of your own;
 *  - handlers are `long sys_NAME(long ...)`, declared here by their part's
 *    part.toml, and return a result or -errno.
 */
#ifndef LIMPET_LIBOS_H
#define LIMPET_LIBOS_H

#include "contract.h" /* generated: structures and hypercalls shared with the monitor */

#define PAGE 4096UL
#define LARGE_PAGE (2UL << 20)
#define ALIGN_UP(x, to) (((x) + (to) - 1) & ~((u64)(to) - 1))
#define ALIGN_DOWN(x, to) ((x) & ~((u64)(to) - 1))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
/* For large arrays: they lie behind all small data, so that a start touches few pages. */
#define LARGE __attribute__((section(".bss..large")))
/* What runs once, if at all, and is in every guest: small rather than fast. */
#define RARE __attribute__((cold, noinline))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The two structures every bundle has, at addresses fixed when it was planned. */
extern const struct guest_info guest_info; /* from the plan, read-only */
extern struct boot_info boot_info;         /* from the monitor, once, at start */
extern u8 state_end[];                     /* of what this library OS can write */

/* core/string.c: the four that a compiler may call by itself, and a few more. */
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);

/* core/pages.c: the arena [guest_info.arena_lo, arena_hi), page by page.
 * PAGES_PROGRAM pages belong to the program (mmap, brk), PAGES_LIBOS ones to us:
 * the program's munmap and MAP_FIXED never touch the latter. */
enum pages_owner { PAGES_FREE = 0, PAGES_LIBOS = 1, PAGES_PROGRAM = 2 };
u64 pages_take(u64 count, enum pages_owner owner);             /* zeroed; 0 when none */
u64 pages_take_large(u64 count, enum pages_owner owner);       /* the same, in large pages */
bool pages_take_at(u64 at, u64 count, enum pages_owner owner); /* exactly there, all free */
void pages_give(u64 at, u64 count, enum pages_owner owner);    /* frees those with that owner */
bool pages_are(u64 at, u64 count, enum pages_owner owner);     /* all of them */
u64 pages_free_count(void);
void pages_missing(void);   /* more was asked for than there is */
bool pages_ran_out(void);   /* the last request could not be met */
void mapping_refused(void); /* a shared file at a second address, where that is not to be had */
u64 pages_first(void);      /* the lowest page that is not a bitmap: where brk starts */

/* core/heap.c: small objects of the library OS. */
void *heap_alloc(u64 size); /* zeroed, 16-byte aligned; NULL when the arena is full */
void heap_free(void *p);    /* NULL is fine */

/* Ending.  The statuses are those of docs/exit-status.md. */
_Noreturn void guest_exit(u32 code);
_Noreturn void program_exit(u32 code);  /* by its own choice: what it lacked is said first */
_Noreturn void panic(const char *what); /* a fault of this library OS: says so */

/* Time (parts/clock).  Nanoseconds. */
u64 clock_monotonic(void);
u64 clock_realtime(void);
u64 cpu_time(u64 monotonic); /* that the program has had by then: but for waiting */
u64 file_time(void);         /* for time stamps: the start, where the guest cannot ask the time */
struct host_time {
    void (*wait)(struct wait *block); /* `monotonic` is the time now, where there is a deadline */
    u64 (*monotonic)(void), (*realtime)(void), (*coarse)(void);
    /* What has happened to sockets outside, unless that was asked in the last `age` nanoseconds:
     * whether it was asked now.  NULL: nothing leads outside. */
    bool (*glance)(u64 age);
};
extern const struct host_time host_time;
extern const struct host_time *const guest_time; /* generated; NULL: the plan has no `wait` */

/* Rights and reservations (parts/memory/reserve.c). */
struct fault;
struct mapping;
struct mapping_wish;
struct regs;
struct guest_memory {
    bool (*fault)(const struct regs *regs,
                  struct fault *fault); /* mended: go on; or described as Linux does */
    bool (*present)(u64 at, u64 size);  /* whether pages are there now that were not */
    long (*pass)(u64 at, u64 size, bool fills, long (*pass)(u64 at, u64 size));
    int (*in_reserve)(u64 at, u64 size);
    u64 (*find)(u64 wanted, u64 size); /* reserved addresses that nothing has; 0: none */
    void (*protect)(const struct mapping *mapping, u64 rights);
    void (*hide)(u64 low, u64 high);         /* pages of the arena that the program gave back */
    void (*show)(u64 at, u64 size);          /* pages that are taken, which may have been hidden */
    void (*bound)(u64 low, u64 high);        /* mappings of files there end with them */
    void (*cut)(const void *node, u64 size); /* a file will be shorter */
    void (*lend)(u64 at, u64 size, u64 rights, bool begins); /* pages of files to the library OS */
    u64 (*end)(const struct mapping *mapping);               /* of what its file has */
    long (*change)(struct mapping *mapping, u8 rights);      /* of what is there from the start */
    void (*reset)(u64 low, u64 high);                        /* the same, as it was then */
    bool (*load)(u64 low, u64 high, u64 rights); /* of an object: until now it was only read */
    bool (*lacks)(u64 low, u64 high);            /* too few free pages to write what is there now */
    /* A shared file where another mapping has it elsewhere, or in the reserve: row by row. */
    long (*alias)(const struct mapping *mapping, const struct mapping_wish *wish);
    void (*release)(u64 low, u64 high);
    bool (*move)(u64 from, u64 size, u64 to);
    void (*gather)(void);  /* all pages are where they are in the arena, for a snapshot */
    void (*scatter)(void); /* and again where they were, with their rights */
    /* The same where all that can only be read, of what is not elsewhere, is so already; and what
     * takes that back. */
    void (*scatter_sealed)(void);
    void (*scatter_hidden)(void); /* and what the program gave back is out of reach as well */
    void (*unseal)(void);
    /* The same where a guest goes back in place to the moment that is kept, before and behind. */
    void (*arrange)(bool keeps);
    void (*place_again)(void);
    long (*map)(long at, long length, long protection, long flags, long fd, long offset);
};
extern const struct guest_memory own_memory;
extern const struct guest_memory *const guest_memory; /* generated; NULL: the plan has none */

/* The host found memory of the program's missing: whether it is there now. */
static inline bool memory_present(u64 at, u64 size) {
    return guest_memory && guest_memory->present(at, size);
}

/* Pages of the program's that it runs; generated: NULL without --jit. */
extern void (*const host_execute)(struct execute *block);

/* In a virtual machine, data of shared objects that are loaded later; generated: NULL where the
 * host has it writable from the start, or it is a process. */
extern void (*const host_load)(struct load *block);
long execution_refused(void); /* generated: remembered for the line that says why it ended */

/* The host's terminal; generated: NULL where its modes are not to be set. */
extern void (*const host_terminal)(struct terminal *block);

/* Entropy (parts/entropy): from a generator seeded by the host. */
void entropy_fill(void *to, u64 n);
extern u64 entropy_renewed; /* how often a start went on from a moment: who it is changes then */

/* Devices (parts/devices): what opens them; generated, NULL where the plan has none. */
extern const struct file_ops block_ops, net_ops;
extern const struct file_ops *const block_device_ops, *const net_device_ops;

/* Signals (parts/signals). */
void signal_raise(int number); /* mark pending for the program; delivered on return */
bool signal_pending(void);     /* a deliverable one is pending: blocking calls give -EINTR */

#endif
