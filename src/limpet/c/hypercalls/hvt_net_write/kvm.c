#include "solo5/wire.h"

/* net_write: one frame.  A full queue drops it, as a wire would. */
static void serve_hvt_net_write(struct hvt_net_write *block) {
    const struct mft_entry *device = net_device(block->handle);
    block->ret = SOLO5_EINVAL;
    if (!device || !frame_fits(device, block->len))
        return;
    long got = put_frame(device, guest_memory(block->data, block->len), block->len);
    bool dropped = got == -HOST_EAGAIN || got == -HOST_ENOBUFS;
    block->ret = dropped || got == (long)block->len ? SOLO5_OK : SOLO5_EUNSPEC;
    frame_failed(block->ret != SOLO5_OK);
    frames_moved(block->handle);
}
