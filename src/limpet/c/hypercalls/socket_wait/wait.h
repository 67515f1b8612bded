/* socket_wait, but for how a host system call is made: the same on both backends. */
static void wait_for_sockets(struct socket_wait *block, long events) {
    struct timespec rest = {1L << 40, 0};
    struct pollfd fds[2] = {{STDIN, POLLIN, 0}, {EVENTS_FD, POLLIN, 0}};
    if (block->timeout >= 0)
        rest.seconds = block->timeout / 1000000000, rest.nanoseconds = block->timeout % 1000000000;
    block->ready = 0;
    if (block->want & 1) {
        long got = SOCKET_WAIT_PPOLL((long)fds, 2, (long)&rest);
        block->ready = got > 0 && fds[0].ready;
        rest = (struct timespec){0, 0};
    }
    block->result = SOCKET_WAIT_EPOLL(EVENTS_FD, events, SOCKET_EVENTS_MOST, (long)&rest);
}
