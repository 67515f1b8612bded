/* What ports of TCP and of UDP have in common: how one that cannot be opened is told. */
enum { V6_ONLY = 26, OF_IPV6 = 41 };

static const char *why_not_published(long error) {
    switch (-error) {
    case HOST_EADDRINUSE:
        return ": in use by another program\n";
    case HOST_EACCES:
        return ": only root may have a port below 1024 here\n";
    case HOST_EADDRNOTAVAIL:
        return ": not an address of this host\n";
    default:
        return ": the host refuses\n";
    }
}

static _Noreturn void not_published(const struct published *port, long error) {
    const char *parts[] = {"limpet: cannot publish ", port->text, why_not_published(error)};
    for (u64 i = 0; i < 3; i++)
        host3(NR_WRITE, STDERR, (long)parts[i], (long)length(parts[i]));
    for (;;)
        host3(NR_EXIT_GROUP, EXIT_CANNOT_START, 0, 0);
}
