/*
 * Limits that the host's kernel holds.  Lowering one needs no right.  Open descriptors stay,
 * whatever their numbers are: where all those below the limit are taken, there can be no more.
 * A guest that may move its memory can map no page more than it has.  poll() takes as many as the
 * limit, hence one more for each network.
 */
enum { RLIMIT_CORE = 4, RLIMIT_NPROC = 6, RLIMIT_NOFILE = 7, RLIMIT_AS = 9 };

static void limit(int which, u64 most) {
    const u64 both[2] = {most, most}; /* soft and hard */
    must(host3(NR_SETRLIMIT, which, (long)both, 0));
}
