/* volume_open on kvm: the path is copied, so that it ends and stays as it is.  What is neither file
 * nor folder is told, and left open: the guest closes it. */
static const struct mft_entry *writable_or_read(u64 volume, u64 way) {
    const struct mft_entry *device = device_at(volume, DEVICE_VOLUME);
    return device && way < (device->read_only ? HOW_WRITES : HOW_COUNT) ? device : NULL;
}

static long open_below(const struct mft_entry *device, const char *path, u64 way, u64 *mode) {
    u8 stat[STAT_SIZE];
    long slot = host4(NR_OPENAT2, (long)device->handle, (long)path,
                      (long)(OPEN_WAYS + way * HOW_SIZE), HOW_SIZE);
    bool known = slot >= 0 && host3(NR_FSTAT, slot, (long)stat, 0) == 0;
    *mode = known ? *(u32 *)(stat + STAT_MODE_AT) : 0;
    return slot;
}

static void serve_volume_open(struct volume_open *block) {
    char path[VOLUME_PATH_MOST];
    const struct mft_entry *device = writable_or_read(block->volume, block->way);
    const void *from = guest_range(block->path, block->size, GUEST_LO, GUEST_HI);
    block->result = device && block->size - 1 < sizeof path ? -HOST_EFAULT : -HOST_EINVAL;
    if (!from || block->result == -HOST_EINVAL)
        return;
    memcpy(path, from, block->size);
    path[block->size - 1] = 0;
    block->result = open_below(device, path, block->way, &block->mode);
}
