/* volume_lock, but for how a host system call is made: the same on both backends. */
enum { HOST_OFD_GETLK = 36, HOST_OFD_SETLK = 37, HOST_LOCK_NB = 4 };

struct host_lock {
    u16 kind, whence;
    s64 start, length;
    s32 holder;
};
_Static_assert(sizeof(struct host_lock) == 32, "struct flock");

/* A shared one, one alone, or none, and none of them waits. */
static bool is_whole(u64 kind) {
    return kind == (1 | HOST_LOCK_NB) || kind == (2 | HOST_LOCK_NB) || (kind & ~4UL) == 8;
}

static long lock_file(struct volume_lock *block) {
    struct host_lock range = {(u16)block->kind, 0, block->start, block->length, 0};
    u64 *held = block->held;
    if (block->what == LOCK_WHOLE)
        return is_whole(block->kind) ? LOCK_BY_FLOCK((long)block->slot, (long)block->kind)
                                     : -HOST_EINVAL;
    if (block->what > LOCK_TELL || block->kind > 2)
        return -HOST_EINVAL;
    long error = LOCK_BY_FCNTL(
        (long)block->slot, block->what == LOCK_SET ? HOST_OFD_SETLK : HOST_OFD_GETLK, (long)&range);
    held[0] = range.kind, held[1] = (u64)range.start, held[2] = (u64)range.length;
    held[3] = range.holder < 0; /* an open file's: the host's processes are nobody's business */
    return error;
}
