/* What --help says of each volume. */
static void help_volumes(void) {
    for (u64 i = 1; i < MANIFEST->count; i++) {
        const struct mft_entry *device = &MANIFEST->entries[i];
        if (device->type == DEVICE_VOLUME)
            help_line("--volume:", device->name, "=FOLDER",
                      device->read_only ? "attach a folder, to read; wanted"
                                        : "attach a folder; wanted");
    }
}
