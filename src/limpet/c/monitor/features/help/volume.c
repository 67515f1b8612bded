/* What --help says of each folder of the host's. */
static void help_volumes(void) {
    for (u64 i = 1; i < MANIFEST->count; i++)
        if (MANIFEST->entries[i].type == DEVICE_VOLUME)
            help_line("--volume:", MANIFEST->entries[i].name, "=FOLDER",
                      "give it a folder of the host's; wanted");
}
