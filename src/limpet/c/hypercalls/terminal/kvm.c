/* terminal on kvm: through the monitor's copy of the block, which the guest cannot change
 * meanwhile.  Each request stands here by itself, so that an auditor reads it from the code. */
enum { /* uapi asm-generic/ioctls.h */
       TERMINAL_SET = 0x5402,
       TERMINAL_SET_DRAINED = 0x5403,
       TERMINAL_SET_FLUSHED = 0x5404,
       TERMINAL_TELL_SIZE = 0x5413
};

static long ask_terminal(long fd, u64 request, long bytes) {
    switch (request) {
    case TERMINAL_SET:
        return host3(NR_IOCTL, fd, TERMINAL_SET, bytes);
    case TERMINAL_SET_DRAINED:
        return host3(NR_IOCTL, fd, TERMINAL_SET_DRAINED, bytes);
    case TERMINAL_SET_FLUSHED:
        return host3(NR_IOCTL, fd, TERMINAL_SET_FLUSHED, bytes);
    case TERMINAL_TELL_SIZE:
        return host3(NR_IOCTL, fd, TERMINAL_TELL_SIZE, bytes);
    default:
        return -HOST_EINVAL;
    }
}

static void serve_terminal(struct terminal *block) {
    block->result = block->fd >= FIRST_FD
                        ? -HOST_EBADF
                        : ask_terminal((long)block->fd, block->request, (long)block->bytes);
}
