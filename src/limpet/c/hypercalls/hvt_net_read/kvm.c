#include "solo5/wire.h"

/* net_read: one frame, if there is one.  One that was brought already comes first. */
static void serve_hvt_net_read(struct hvt_net_read *block) {
    const struct mft_entry *device = net_device(block->handle);
    block->ret = SOLO5_EINVAL;
    if (!device)
        return;
    void *to = guest_buffer(block->data, block->len);
    if (take_ahead(block->handle, to, &block->len)) {
        block->ret = SOLO5_OK;
        return;
    }
    u64 room = block->len < FRAME_MOST ? block->len : FRAME_MOST;
    long got = get_frame(device, to, room);
    if (got > 0)
        block->len = (u64)got, block->ret = SOLO5_OK, frames_moved(block->handle);
    else
        block->ret = got == -HOST_EAGAIN ? SOLO5_AGAIN : SOLO5_EUNSPEC;
}
