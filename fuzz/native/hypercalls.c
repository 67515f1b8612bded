/*
 * Hypercalls of a hostile guest, to the handlers of both kinds of kvm monitor.
 *
 * The guest's memory lies where the plan has it, with nothing between its parts.  Every
 * call to the host must be one that the plan's filter allows, name only memory that
 * the guest may name, and store nothing where the guest could not.
 */
#define LIMPET_MONITOR
#include "fake.h"

/* The C library's own headers have other names for what host.h declares. */
#pragma GCC visibility push(default)
int dprintf(int fd, const char *format, ...);
_Noreturn void abort(void);
int _setjmp(long *buffer);
_Noreturn void longjmp(long *buffer, int value);
void *mmap(void *at, size_t size, int access, int flags, int fd, long offset);
int munmap(void *at, size_t size);
void *memset(void *to, int byte, size_t size);
#pragma GCC visibility pop

#define CAPACITY 0x12345600UL
#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))

static const struct monitor *now;
static const u8 *input, *input_end;
static long ended[64];

static u64 take(u64 size) {
    u64 value = 0;
    for (u64 i = 0; i < size && input < input_end; i++)
        value |= (u64)*input++ << 8 * i;
    return value;
}

static _Noreturn void fail(const char *what, long number, const long *arguments) {
    dprintf(2, "%s: host call %ld(%#lx, %#lx, %#lx, %#lx)\n", what, number, arguments[0],
            arguments[1], arguments[2], arguments[3]);
    abort();
}

static bool pinned(const struct pin *pin, u64 value) {
    if (!pin->own)
        return value >= pin->low && value <= pin->high;
    return value < now->guest_lo || value >= now->guest_hi;
}

static const struct rule *allowed(long number, const long *arguments) {
    for (const struct rule *rule = now->rules; rule->pins != 255; rule++) {
        bool fits = rule->number == number;
        for (u64 i = 0; fits && i < rule->pins; i++)
            fits = pinned(&rule->pin[i], (u64)arguments[rule->pin[i].index]);
        if (fits)
            return rule;
    }
    return 0;
}

/* How much of [at, at + size) is there, for what is written by the guest too or not. */
static u64 there(u64 at, u64 size, bool writable) {
    u64 done = 0;
    for (const struct memory *each = now->memory; each->high; each++)
        if (at + done >= each->low && at + done < each->high && (each->writable || !writable))
            while (done < size && at + done < each->high)
                done++;
    return done;
}

/* A transfer: inside guest memory, and into it only where the guest could write. */
static long transfer(long number, const long *arguments) {
    u64 at = (u64)arguments[1], size = (u64)arguments[2];
    bool stores = number == NR_READ || number == NR_PREAD64;
    if (number == NR_WRITE && arguments[0] == 2 && pinned(&(struct pin){0, true, 0, 0}, at)) {
        for (u64 i = 0; i < size; i++) /* a line of the monitor's */
            if (((const volatile char *)at)[i] == 0)
                fail("a zero in a line", number, arguments);
        return (long)size;
    }
    if (at < now->guest_lo || at > now->guest_hi || size > now->guest_hi - at)
        fail("memory that is not the guest's", number, arguments);
    for (const struct memory *each = now->memory; stores && each->high; each++)
        if (each->ours && size && at < each->high && each->low < at + size)
            fail("into memory that only the monitor may write", number, arguments);
    if (number == NR_PREAD64 || number == NR_PWRITE64)
        if (size > CAPACITY || (u64)arguments[3] > CAPACITY - size)
            fail("beyond the device", number, arguments);
    u64 most = there(at, MIN_OF(size, 1UL << 16), stores);
    if (stores)
        for (u64 i = 0; i < most; i += 61)
            *(u8 *)(at + i) = (u8)take(1);
    u64 how = take(1);
    if (!most && size)
        return -HOST_EFAULT;
    return how < 128   ? (long)(most == MIN_OF(size, 1UL << 16) ? size : most)
           : how < 160 ? (long)(most / 2)
           : how < 192 ? 0
           : how < 224 ? -HOST_EAGAIN
                       : -(long)(how - 200);
}

long fake_host(long number, long a, long b, long c, long d, long e, long f) {
    const long arguments[] = {a, b, c, d, e, f};
    if (!allowed(number, arguments))
        fail("not in the plan's rules", number, arguments);
    switch (number) {
    case NR_EXIT_GROUP:
        longjmp(ended, 1);
    case NR_READ:
    case NR_WRITE:
    case NR_PREAD64:
    case NR_PWRITE64:
        return transfer(number, arguments);
    case NR_CLOCK_GETTIME:
        *(struct timespec *)b = (struct timespec){(s64)take(4), (s64)(take(4) % 1000000000)};
        return 0;
    case NR_GETRANDOM:
        memset((void *)a, 7, (size_t)b);
        return b;
    case NR_PPOLL: {
        const struct timespec *rest = (const struct timespec *)c;
        if (rest && (u64)rest->nanoseconds >= 1000000000)
            fail("nanoseconds", number, arguments);
        long ready = 0;
        for (long i = 0; i < b; i++) {
            ((struct pollfd *)a)[i].ready = (u16)(take(1) & 1);
            ready += ((struct pollfd *)a)[i].ready;
        }
        return take(1) < 8 ? -HOST_EINTR : ready;
    }
    default:
        return 0;
    }
}

static void change_to(const struct monitor *next) {
    if (now == next)
        return;
    for (const struct memory *each = now ? now->memory : 0; each && each->high; each++)
        munmap((void *)each->low, each->high - each->low);
    now = next;
    for (const struct memory *each = now->memory; each->high; each++)
        if (mmap((void *)each->low, each->high - each->low, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != (void *)each->low) {
            dprintf(2, "no room for guest memory at %#lx\n", each->low);
            abort();
        }
}

/* A value: as it comes, or near an end of something. */
static u64 value(void) {
    u64 kind = take(1), count = 0;
    while (now->interesting[count])
        count++;
    if (kind < 64)
        return take(8);
    if (kind < 96)
        return take(1);
    return now->interesting[kind % count] + (u64)(s64)(short)take(2);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size) {
    input = data, input_end = data + size;
    change_to(take(1) & 1 ? &monitor_hvt : &monitor_linux);
    now->start();
    if (_setjmp(ended))
        return 0;
    while (input < input_end) {
        u64 which = take(1), count = 0;
        while (now->ports[count])
            count++;
        u64 *block = (u64 *)now->blocks;
        u64 words = take(1) % 10;
        for (u64 i = 0; i < words; i++)
            block[i] = value();
        u64 address = which & 128 ? value() : now->blocks;
        now->serve(now->ports[which % count], (u32)address);
    }
    return 0;
}
