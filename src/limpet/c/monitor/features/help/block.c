/* What --help says of each block device. */
static void help_blocks(void) {
    for (u64 i = 1; i < MANIFEST->count; i++) {
        const char *name = MANIFEST->entries[i].name;
        if (MANIFEST->entries[i].type != DEVICE_BLOCK)
            continue;
        help_line("--block:", name, "=PATH", "attach a file or device; wanted, this way or");
        help_line("--block-readonly:", name, "=PATH", "the same, never written");
        help_line("--block-sector-size:", name, "=SIZE",
                  "its sector size, a power of two from " SECTOR_LEAST_TEXT " on");
    }
}
