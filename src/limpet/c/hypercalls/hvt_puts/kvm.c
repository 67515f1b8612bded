/* puts: all of it, or the end; the ABI has no way to report a console that is gone.  One
 * that does not block is waited for. */
static void serve_hvt_puts(struct hvt_puts *block) {
    u64 from = (u64)guest_memory(block->data, block->len);
    for (u64 done = 0; done < block->len;) {
        u64 size = block->len - done < MAX_TRANSFER ? block->len - done : MAX_TRANSFER;
        long got = host3(NR_WRITE, STDOUT, (long)(from + done), (long)size);
        struct pollfd console = {STDOUT, POLLOUT, 0};
        struct timespec long_time = {1L << 40, 0};
        if (got == -HOST_EAGAIN)
            host6(NR_PPOLL, (long)&console, 1, (long)&long_time, 0, 0, 0);
        else if (got <= 0)
            refuse("limpet: the guest's console cannot be written (standard output)\n");
        done += got > 0 ? (u64)bytes_taken(got) : 0;
    }
}
