/*
 * Frames without an exit for each.  While the monitor allows it, what the guest sends is gathered;
 * the next exit sends it.  What the monitor brought is handed out.  Everything else is the
 * hypercall as the guest made it.
 *
 * The guest can write all of this memory: nothing here defends the host.
 */
#include "contract.h"

extern struct frames frames;
extern const struct hvt_boot_info boot_info;
extern const struct manifest manifest;

enum { FRAME_STEP = 8, LEAST = 14, FIRST = 0x100000 }; /* an Ethernet header; HVT_GUEST_MIN_BASE */

static bool in_memory(u64 at, u64 size) {
    return at >= FIRST && at < boot_info.mem_size && size <= boot_info.mem_size - at;
}

static void copy(void *to, const void *from, u64 size) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size)::"memory");
}

static u32 aligned(u64 size) {
    return (u32)(size + FRAME_STEP - 1) & ~(u32)(FRAME_STEP - 1);
}

static bool fits(u64 handle, u64 size) {
    if (handle >= manifest.count || manifest.entries[handle].type != DEVICE_NET)
        return false;
    u64 most = (manifest.entries[handle].capacity >> 48) + ETHERNET_HEADER;
    return size >= LEAST && size <= most && size <= FRAME_MOST;
}

static bool gather(struct hvt_net_write *block) {
    u32 at = frames.gathered;
    struct frame_head *head = (struct frame_head *)(frames.sent + at);
    u64 size = block->len, whole = sizeof *head + aligned(size);
    if (!frames.open || !fits(block->handle, size) || at > FRAMES_ROOM ||
        whole > FRAMES_ROOM - at || !in_memory(block->data, size))
        return false;
    *head = (struct frame_head){(u32)block->handle, (u32)size};
    copy(head + 1, (const void *)block->data, size);
    frames.gathered = at + (u32)whole;
    block->ret = SOLO5_OK;
    return true;
}

static bool hand_out(struct hvt_net_read *block) {
    if (frames.handle != block->handle)
        return false;
    if (frames.taken >= frames.brought) {
        bool known = frames.dry;
        frames.dry = 0;
        block->ret = known ? SOLO5_AGAIN : block->ret;
        return known;
    }
    const struct frame_head *head = (const struct frame_head *)(frames.ahead + frames.taken);
    u64 size = head->size < block->len ? head->size : block->len;
    if (!in_memory(block->data, size))
        return false;
    copy((void *)block->data, head + 1, size);
    frames.taken += (u32)sizeof *head + aligned(head->size);
    block->len = size;
    block->ret = SOLO5_OK;
    return true;
}

void shim_hypercall(u32 block, u32 port);
void shim_hypercall(u32 block, u32 port) {
    u64 size = sizeof(struct hvt_net_write);
    if (in_memory(block, size) &&
        (port == PORT_HVT_NET_WRITE ? gather((struct hvt_net_write *)(u64)block)
                                    : hand_out((struct hvt_net_read *)(u64)block)))
        return;
    __asm__ volatile("outl %0, %w1" ::"a"(block), "d"(port) : "memory");
}
