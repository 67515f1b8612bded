/*
 * --strict: walls that cost more than the others together.  A new network namespace alone is half a
 * millisecond.  A processor that needs no change of its speculation, or leaves no choice, refuses
 * it.
 */
enum { PR_CAPBSET_DROP = 24, PR_SET_SPECULATION_CTRL = 53, PR_SPEC_FORCE_DISABLE = 8 };
enum { STORE_BYPASS = 0, INDIRECT_BRANCH = 1, CAPABILITIES = 64 };
enum { NEW_NS = 0x20000, NEW_UTS = 0x4000000, NEW_IPC = 0x8000000, NEW_NET = 0x40000000 };

/* A published port stays in the network where it was opened; what is to connect needs the host's.
 */
static void isolate(u64 network) {
    host6(NR_PRCTL, PR_SET_SPECULATION_CTRL, STORE_BYPASS, PR_SPEC_FORCE_DISABLE, 0, 0, 0);
    host6(NR_PRCTL, PR_SET_SPECULATION_CTRL, INDIRECT_BRANCH, PR_SPEC_FORCE_DISABLE, 0, 0, 0);
    if (host3(NR_GETEUID, 0, 0, 0))
        return;
    must(host3(NR_UNSHARE, (long)(NEW_NS | NEW_UTS | NEW_IPC | network), 0, 0));
    for (long each = 0; each < CAPABILITIES;
         each++) /* those that the kernel does not have: EINVAL */
        host6(NR_PRCTL, PR_CAPBSET_DROP, each, 0, 0, 0, 0);
}
