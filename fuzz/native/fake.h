/* The host as the handlers of a monitor see it here: each call is held against the plan's rules. */
#ifndef LIMPET_FUZZ_HOST_H
#define LIMPET_FUZZ_HOST_H

#include "host.h"

long fake_host(long number, long a, long b, long c, long d, long e, long f);

#define host3(n, a, b, c) fake_host(n, a, b, c, 0, 0, 0)
#define host4(n, a, b, c, d) fake_host(n, a, b, c, d, 0, 0)
#define host6(n, a, b, c, d, e, f) fake_host(n, a, b, c, d, e, f)

/* One pin of a rule; `own` is memory of the monitor's, which is anywhere but in the guest. */
struct pin {
    u8 index;
    bool own;
    u64 low, high;
};

struct rule {
    u16 number;
    u8 pins, device;
    struct pin pin[6];
};

struct memory {
    u64 low, high;
    bool writable; /* by the guest */
    bool ours;     /* by the monitor, and not by the guest */
};

/* One monitor: its memory, its rules, the dispatcher that is generated for it. */
struct monitor {
    const struct memory *memory;
    const struct rule *rules;
    const u16 *ports;
    u64 guest_lo, guest_hi, blocks;
    void (*start)(void);
    void (*serve)(u16 port, u32 address);
    const u64 *interesting;
};

extern const struct monitor monitor_linux, monitor_hvt;

#endif
