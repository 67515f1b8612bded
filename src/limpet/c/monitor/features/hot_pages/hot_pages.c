/* What a start of this snapshot wrote when it was made.  Each of these pages is copied when it is
 * first touched, often behind a fault to be read and one to be written; in a virtual machine each
 * is an exit, and KVM maps eight pages at one where all of them are there.
 *
 * One call for all costs a third less than one for each run; a kernel before 6.13 takes that only
 * for another process.  One before 5.14 takes neither, and the guest is only slower. */
enum { THIS_PROCESS = -10000 }; /* PIDFD_SELF */

static void bring_hot_pages(void) {
    static const u64 runs[][2] = {HOT_PAGES};
    long at = (long)runs, count = sizeof runs / sizeof *runs;
    if (host6(NR_PROCESS_MADVISE, THIS_PROCESS, at, count, MADV_POPULATE_WRITE, 0, 0) > 0)
        return;
    for (long i = 0; i < count; i++)
        host3(NR_MADVISE, (long)runs[i][0], (long)runs[i][1], MADV_POPULATE_WRITE);
}
