/* Ports of TCP that the bundle opens itself. */
enum { REUSE_ADDRESS = 2, LEVEL_OF_SOCKETS = 1, BACKLOG = 4096 };

static long open_port(const struct outside_address *at) {
    static const u32 on = 1;
    long fd = at->version_6 ? socket_of_6() : socket_of_4();
    if (fd < 0)
        return fd;
    host6(NR_SETSOCKOPT, fd, LEVEL_OF_SOCKETS, REUSE_ADDRESS, (long)&on, sizeof on, 0);
    if (at->version_6)
        host6(NR_SETSOCKOPT, fd, OF_IPV6, V6_ONLY, (long)&on, sizeof on, 0);
    long error = host3(NR_BIND, fd, (long)at, (long)at->size);
    if (!error)
        error = host3(NR_LISTEN, fd, BACKLOG, 0);
    return error < 0 ? error : fd;
}

static void publish(u64 index, const struct outside_address *at) {
    long fd = open_port(at);
    if (fd < 0)
        not_published((const struct published *)PUBLISHED + index, fd);
    watch_port(fd, index);
}

/* Those that the start chooses come last: an audit sees that no other is bound. */
static void open_published(void) {
    const struct published *ports = (const struct published *)PUBLISHED;
    for (u64 i = 0; i < OPENED - OPENED_CHOSEN; i++)
        publish(i, &ports[i].at);
    for (u64 i = 0; i < OPENED_CHOSEN; i++)
        publish(OPENED - OPENED_CHOSEN + i, address_chosen(i));
}
