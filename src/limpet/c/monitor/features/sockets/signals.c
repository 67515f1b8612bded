/* A signal from outside ends a wait for sockets: it is told until it is taken. */
static void tell_signals(u64 scopes) {
    static const struct epoll_event event = {POLLIN, SIGNAL_FD};
    if (scopes)
        must(host4(NR_EPOLL_CTL, EVENTS_FD, EPOLL_CTL_ADD, SIGNAL_FD, (long)&event));
}
