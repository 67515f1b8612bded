/*
 * What the monitors of Solo5 guests share.
 *
 * The manifest that the guest reads is also the monitor's table of devices: it lies in
 * pages that the guest cannot write and no hypercall may name as a buffer.
 */
#ifndef LIMPET_SOLO5_H
#define LIMPET_SOLO5_H

#include "monitor.h"

enum device_type { DEVICE_BLOCK = 1, DEVICE_NET = 2 };
enum solo5_result { SOLO5_OK = 0, SOLO5_AGAIN = 1, SOLO5_EINVAL = 2, SOLO5_EUNSPEC = 3 };
enum { DEVICE_FD = 16, CMDLINE_SIZE = 8192, ETHERNET_HEADER = 18, NAME_SIZE = 68 };

struct manifest {
    u32 version, count;
    struct mft_entry entries[];
};

#define MANIFEST ((struct manifest *)MANIFEST_AT)
#define CMDLINE ((char *)CMDLINE_AT)

/* A network's MAC is where a block device's capacity is, and its MTU behind it. */
static inline u8 *net_mac(struct mft_entry *device) {
    return (u8 *)&device->capacity;
}

static inline u64 net_mtu(const struct mft_entry *device) {
    return device->capacity >> 48;
}

static char *put_text(char *to, const char *text) {
    while (*text)
        *to++ = *text++;
    return to;
}

static inline char *put_hex(char *to, u64 value) {
    int shift = 60;
    while (shift && !(value >> shift))
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        *to++ = "0123456789abcdef"[value >> shift & 15];
    return to;
}

#endif
