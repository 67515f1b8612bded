/* Ports of TCP that the bundle opens itself. */
enum { REUSE_ADDRESS = 2, LEVEL_OF_SOCKETS = 1, BACKLOG = 4096 };

static long open_port(const struct published *port) {
    static const u32 on = 1;
    long fd = port->at.version_6 ? socket_of_6() : socket_of_4();
    if (fd < 0)
        return fd;
    host6(NR_SETSOCKOPT, fd, LEVEL_OF_SOCKETS, REUSE_ADDRESS, (long)&on, sizeof on, 0);
    if (port->at.version_6)
        host6(NR_SETSOCKOPT, fd, OF_IPV6, V6_ONLY, (long)&on, sizeof on, 0);
    long error = host3(NR_BIND, fd, (long)port, (long)port->at.size);
    if (!error)
        error = host3(NR_LISTEN, fd, BACKLOG, 0);
    return error < 0 ? error : fd;
}

static void open_published(void) {
    const struct published *ports = (const struct published *)PUBLISHED;
    for (u64 i = 0; i < OPENED; i++) {
        long fd = open_port(&ports[i]);
        if (fd < 0)
            not_published(&ports[i], fd);
        watch_port(fd, i);
    }
}
