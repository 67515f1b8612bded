/* Ports of UDP, opened before anything is given up and before the guest runs, each with the pair
 * over which its datagrams come and go.  No other program can take the port as well. */

enum { TRIES = 50, TRY_MS = 10 };

/* The porter of a bundle that has just ended may still be about to end: it is waited for. */
static long bind_port(long fd, const struct outside_address *at) {
    long error = host3(NR_BIND, fd, (long)at, (long)at->size);
    for (u32 i = 0; i < TRIES && error == -HOST_EADDRINUSE; i++) {
        host3(NR_POLL, 0, 0, TRY_MS);
        error = host3(NR_BIND, fd, (long)at, (long)at->size);
    }
    return error;
}

static long open_carried_port(const struct outside_address *at) {
    static const u32 on = 1;
    long fd = at->version_6 ? datagrams_of_6() : datagrams_of_4();
    if (fd >= 0 && at->version_6)
        host6(NR_SETSOCKOPT, fd, OF_IPV6, V6_ONLY, (long)&on, sizeof on, 0);
    if (fd < 0)
        return fd;
    long error = bind_port(fd, at);
    return error < 0 ? error : fd;
}

static long publish_carried(u64 index, const struct outside_address *at) {
    long fd = open_carried_port(at);
    if (fd < 0)
        not_published((const struct published *)PUBLISHED + LISTENERS + index, fd);
    return fd;
}

/* Behind those that are opened, those that the bundle's starter gives. */
static void open_carried(long *ports) {
    const struct published *port = (const struct published *)PUBLISHED + LISTENERS;
    for (u64 i = 0; i < OPENED_UDP - OPENED_UDP_CHOSEN; i++)
        ports[i] = publish_carried(i, &port[i].at);
    for (u64 i = OPENED_UDP - OPENED_UDP_CHOSEN; i < OPENED_UDP; i++)
        ports[i] = publish_carried(i, address_chosen(CHOSEN_PORTS - OPENED_UDP + i));
    for (u64 i = OPENED_UDP; i < CARRIERS; i++)
        ports[i] = (long)(INHERITED_FD + LISTENERS + i);
}

/* The porter's descriptors, in the order of its numbers. */
static void open_carriers(long *ports, long *pairs) {
    open_carried(ports);
    for (u64 i = 0; i < CARRIERS; i++) {
        s32 ends[2];
        must(host4(NR_SOCKETPAIR, UNIX_PAIR, UNIX_PACKETS | SOCKET_FLAGS, 0, (long)ends));
        pairs[i] = park(ends[0]), ports[i] = park(ports[i]);
        move_descriptor(ends[1], (long)(CARRIERS_FD + i));
        const struct epoll_event event = {WATCHED_EVENTS, CARRIERS_FD + i};
        must(host4(NR_EPOLL_CTL, EVENTS_FD, EPOLL_CTL_ADD, (long)event.data, (long)&event));
    }
}

/* Zeros, which only what is used of them takes memory for. */
static struct peers *peers_of_ports(void) {
    struct peers *peers = (struct peers *)PORTER_MEMORY;
    u64 key = 0;
    map_memory(PORTER_MEMORY, PORTER_MEMORY + CARRIERS * sizeof(struct peers));
    must(host3(NR_GETRANDOM, (long)&key, sizeof key, 0));
    for (u64 i = 0; i < CARRIERS; i++)
        peers[i].key = key;
    return peers;
}
