/* volume_name on kvm: the names are copied, so that they end and stay as they are. */
#include "hypercalls/volume_name/below.h"

static void serve_volume_name(struct volume_name *block) {
    char names[VOLUME_NAMES_MOST + 2];
    const struct naming asked = {block->what, block->argument, block->volume, block->times,
                                 block->file};
    const void *from = guest_range(block->address, block->length, GUEST_LO, GUEST_HI);
    block->result = block->length <= VOLUME_NAMES_MOST ? -HOST_EFAULT : -HOST_EINVAL;
    if (!from || block->result == -HOST_EINVAL)
        return;
    memcpy(names, from, block->length);
    names[block->length] = names[block->length + 1] = 0;
    block->result = change_below(&asked, names);
}
