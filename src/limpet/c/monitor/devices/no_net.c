/* No network in the manifest: naming one is a mistake. */
static bool take_net_option(const char *option) {
    const char *value, *rest = behind(option, "--net:");
    if (rest)
        find_device(rest, DEVICE_NET, &value);
    return false;
}

static void finish_nets(void) {
}
