/* No block device in the manifest: naming one is a mistake. */
static bool take_block_option(const char *option) {
    const char *value, *rest = behind(option, "--block:");
    if (rest)
        find_device(rest, DEVICE_BLOCK, &value);
    return false;
}

static void finish_blocks(void) {
}
