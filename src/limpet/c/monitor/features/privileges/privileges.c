/*
 * What the starter could do, this process cannot any more.  Only root can become somebody else;
 * where root is the only user that there is, as in some containers, it stays without capabilities.
 */
enum { PR_SET_DUMPABLE = 4, CAPABILITY_VERSION_3 = 0x20080522 };

static void drop_rights(void) {
    static const u32 header[2] = {CAPABILITY_VERSION_3, 0}, none[6] = {0};
    host3(NR_SETGROUPS, 0, 0, 0);
    host3(NR_SETRESGID, OWN_GID, OWN_GID, OWN_GID);
    host3(NR_SETRESUID, OWN_UID, OWN_UID, OWN_UID);
    must(host3(NR_CAPSET, (long)header, (long)none, 0));
    must(host6(NR_PRCTL, PR_SET_DUMPABLE, 0, 0, 0, 0, 0));
    if (STRICT)
        must(host3(NR_GETEUID, 0, 0, 0) - 1);
}
