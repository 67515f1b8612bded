/* What a start of this snapshot wrote when it was made.  Each of these pages is copied when it is
 * first touched, often behind a fault to be read and one to be written; in a virtual machine each
 * is an exit, and KVM maps eight pages at one where all of them are there.  A kernel before 5.14
 * does not know the request, and the guest is only slower. */
static void bring_hot_pages(void) {
    static const u64 runs[][2] = {HOT_PAGES};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        host3(NR_MADVISE, (long)runs[i][0], (long)(runs[i][1] - runs[i][0]), MADV_POPULATE_WRITE);
}
