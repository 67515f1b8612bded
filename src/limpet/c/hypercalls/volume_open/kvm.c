/* volume_open on kvm: the path is copied, so that it ends and stays as it is.  What is neither file
 * nor folder is told, and left open: the guest closes it. */
static const struct mft_entry *writable_or_read(u64 volume, u64 way) {
    const struct mft_entry *device = device_at(volume, DEVICE_VOLUME);
    return device && way < (device->read_only ? HOW_WRITES : HOW_COUNT) ? device : NULL;
}

static long open_below(const struct mft_entry *device, const char *path, u64 way, u64 *stat) {
    long slot = host4(NR_OPENAT2, (long)device->handle, (long)path,
                      (long)(OPEN_WAYS + way * HOW_SIZE), HOW_SIZE);
    if (slot >= 0)
        host3(NR_FSTAT, slot, (long)stat, 0);
    return slot;
}

/* What it is, and its first bytes: what is asked for next of most files. */
static s64 look_ahead(long slot, const u64 *stat, volatile u64 *room) {
    for (u64 i = 0; i < STAT_BYTES / sizeof(u64); i++)
        room[i] = stat[i];
    return host4(NR_PREAD64, slot, (long)(room + STAT_BYTES / sizeof(u64)), VOLUME_AHEAD, 0);
}

static void serve_volume_open(struct volume_open *block) {
    char path[VOLUME_PATH_MOST];
    u64 stat[STAT_BYTES / sizeof(u64)] = {0};
    const struct mft_entry *device = writable_or_read(block->volume, block->way);
    const void *from = guest_range(block->path, block->size, GUEST_LO, GUEST_HI);
    u64 *room = guest_block(block->room, STAT_BYTES + VOLUME_AHEAD);
    block->result = device && block->size - 1 < sizeof path ? -HOST_EFAULT : -HOST_EINVAL;
    if (!from || (block->room.at && !room) || block->room.at % sizeof(u64) ||
        block->result == -HOST_EINVAL)
        return;
    memcpy(path, from, block->size);
    path[block->size - 1] = 0;
    block->result = open_below(device, path, block->way, stat);
    block->mode = (u32)stat[STAT_MODE_AT / sizeof(u64)];
    block->ahead = room && block->result >= 0 ? look_ahead(block->result, stat, room) : -1;
}
