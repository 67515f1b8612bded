/* What --help says of each network. */
static void help_nets(void) {
    for (u64 i = 1; i < MANIFEST->count; i++) {
        const char *name = MANIFEST->entries[i].name;
        if (MANIFEST->entries[i].type != DEVICE_NET)
            continue;
        help_line("--net:", name, "=IFACE | @NN",
                  "attach a TAP interface, or descriptor NN; wanted");
        help_line("--net-mac:", name, "=HWADDR", "its address");
        help_line("--net-mtu:", name, "=MTU", "its MTU");
    }
}
