/*
 * Published ports: listening sockets of the host, opened, or taken from the bundle's starter,
 * before anything is given up and before the guest runs.  It can take what comes to them, and
 * neither bind nor listen.
 */
static void watch_port(long fd, u64 index) {
    move_descriptor(fd, (long)(LISTENERS_FD + index));
    const struct epoll_event event = {WATCHED_EVENTS, LISTENERS_FD + index};
    must(host4(NR_EPOLL_CTL, EVENTS_FD, EPOLL_CTL_ADD, (long)event.data, (long)&event));
}

static void watch_inherited(void) {
    for (u64 i = OPENED; i < LISTENERS; i++)
        watch_port((long)(INHERITED_FD + i), i);
}
