/*
 * The table of a guest's devices, which is a Solo5 manifest for every kind of guest.
 *
 * The guest reads it; it lies in pages that no guest of a virtual machine can write and
 * no hypercall may name as a buffer.  In a process the filter holds what is in it.
 */
#ifndef LIMPET_DEVICES_H
#define LIMPET_DEVICES_H

#include "core/words.h"

#define MANIFEST ((struct manifest *)MANIFEST_AT)

static inline const struct mft_entry *device_at(u64 handle, u32 type) {
    if (handle >= MANIFEST->count || MANIFEST->entries[handle].type != type)
        return NULL;
    return &MANIFEST->entries[handle];
}

static inline const struct mft_entry *net_device(u64 handle) {
    return device_at(handle, DEVICE_NET);
}

/* The block device, when it has those bytes. */
static inline const struct mft_entry *block_within(u64 handle, u64 offset, u64 size) {
    const struct mft_entry *device = device_at(handle, DEVICE_BLOCK);
    if (!device || size > device->capacity || offset > device->capacity - size)
        return NULL;
    return device;
}

/* A network's MAC is where a block device's capacity is, and its MTU behind it. */
static inline u8 *net_mac(struct mft_entry *device) {
    return (u8 *)&device->capacity;
}

static inline u64 net_mtu(const struct mft_entry *device) {
    return device->capacity >> 48;
}

/* One frame of at most the interface's MTU and an Ethernet header; never more than the filter
 * lets through, which would end the guest instead of refusing it. */
static inline bool frame_fits(const struct mft_entry *device, u64 length) {
    return length <= FRAME_MOST && length <= net_mtu(device) + ETHERNET_HEADER;
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
