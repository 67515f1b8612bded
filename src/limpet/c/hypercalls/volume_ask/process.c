/*
 * volume_ask in a process: the whole block, with the names behind it, is one message.  The other
 * side answers each at once; one that has ended answers none.
 */
static void process_volume_ask(struct volume_ask *block) {
    s64 result = 0;
    long got, size = (long)(sizeof *block + block->length);
    long sent =
        HOST_STUB(volume_ask, sendto, NR_SENDTO, NAMER_FD, (long)block, size, SOCKET_SEND, 0, 0);
    block->result = -HOST_EIO;
    if (sent != size)
        return;
    do
        got = HOST_STUB(volume_ask, recvfrom, NR_RECVFROM, NAMER_FD, (long)&result, sizeof result,
                        0, 0, 0);
    while (got == -HOST_EINTR);
    if (got == sizeof result)
        block->result = result;
}
