/*
 * Block devices: a host file or device, its capacity fixed when it is attached.
 */
static void take_sector_size(const char *option) {
    const char *value;
    u64 size;
    struct mft_entry *device = find_device(option, DEVICE_BLOCK, &value);
    if (!parse_number(value, SECTOR_MOST, &size) || size < SECTOR_LEAST || (size & (size - 1)))
        complain("limpet: ", device->name, DEVICE_NAME_SIZE,
                 ": Block size must be a multiple of 2 greater than or equal " SECTOR_LEAST_TEXT
                 ": a power of two up to " SECTOR_MOST_TEXT);
    device->block_size = (u16)size;
}

static void attach_block(const char *option, int flags) {
    const char *path;
    struct mft_entry *device = find_device(option, DEVICE_BLOCK, &path);
    long fd = host4(NR_OPENAT, AT_FDCWD, (long)path, flags | O_CLOEXEC, 0);
    attach(device, path, fd);
    device->read_only = flags == O_RDONLY;
    long capacity = host3(NR_LSEEK, (long)device->handle, 0, SEEK_END);
    if (capacity < 0)
        complain("limpet: cannot attach ", path, SHOWN, ": Could not determine capacity");
    device->capacity = (u64)capacity;
}

static bool take_block_option(const char *option) {
    const char *rest;
    if ((rest = behind(option, "--block-sector-size:")))
        take_sector_size(rest);
    else if ((rest = behind(option, "--block-readonly:")))
        attach_block(rest, O_RDONLY);
    else if ((rest = behind(option, "--block:")))
        attach_block(rest, O_RDWR);
    else
        return false;
    return true;
}

static void finish_blocks(void) {
    for (u64 i = 1; i < MANIFEST->count; i++) {
        struct mft_entry *device = &MANIFEST->entries[i];
        if (device->type != DEVICE_BLOCK || !device->attached)
            continue;
        if (!device->block_size)
            device->block_size = SECTOR_LEAST;
        if (device->capacity & (device->block_size - 1UL))
            complain("limpet: ", device->name, DEVICE_NAME_SIZE,
                     ": Backing storage size must be block aligned");
        if (device->capacity < device->block_size)
            complain("limpet: ", device->name, DEVICE_NAME_SIZE,
                     ": Backing storage must be at least 1 block in size");
    }
}
