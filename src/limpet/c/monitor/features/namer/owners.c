/*
 * A root of its own for whom is not root: `chroot` wants a capability, and that has everybody in a
 * namespace of users of his own, which the guest's process enters before its walls are raised. They
 * take the capabilities again.
 *
 * Files of all other owners are nobody's for who is in there.  The namer, which was forked before,
 * is not, and tells whose they are.  That takes longer than a file's opening: so this is only for
 * folders that are the starter's own, where there are few such files.
 */
enum { NEW_USERS = 0x10000000, OVERFLOW_USER = 65534, DIGITS_MOST = 10 };

static bool is_own(long folder, u32 user, u32 group) {
    u32 stat[STAT_SIZE / sizeof(u32)];
    return host3(NR_FSTAT, folder, (long)stat, 0) == 0 &&
           stat[STAT_OWNER_AT / sizeof(u32)] == user &&
           stat[STAT_OWNER_AT / sizeof(u32) + 1] == group;
}

static bool wants_users(void) {
    u32 user = (u32)host3(NR_GETEUID, 0, 0, 0), group = (u32)host3(NR_GETEGID, 0, 0, 0);
    bool own = user && user != OVERFLOW_USER && group != OVERFLOW_USER && can_have_root();
    for (u64 i = 1; i < MANIFEST->count; i++) {
        const struct mft_entry *device = &MANIFEST->entries[i];
        if (device->type == DEVICE_VOLUME)
            own = own && is_own((long)device->handle, user, group);
    }
    return own;
}

static void write_to(const char *path, const char *text) {
    long file = host4(NR_OPENAT, AT_FDCWD, (long)path, O_RDWR | O_CLOEXEC, 0);
    host3(NR_WRITE, file, (long)text, (long)length(text));
    host3(NR_CLOSE, file, 0, 0);
}

/* That number is itself, and no other is there: all that may be said without a right. */
static void map_itself(const char *path, u32 number) {
    char line[2 * (DIGITS_MOST + 1) + sizeof "1"], *first = line + DIGITS_MOST;
    do
        *--first = (char)('0' + number % 10);
    while (number /= 10);
    u64 size = (u64)(line + DIGITS_MOST - first);
    line[DIGITS_MOST] = ' ';
    memcpy(line + DIGITS_MOST + 1, first, size);
    memcpy(line + DIGITS_MOST + 1 + size, " 1", sizeof " 1");
    write_to(path, first);
}

/* Where the host has no such namespaces, the process stays where it is.  Where the numbers are not
 * taken, all files are nobody's, and asked for. */
static void enter_users(u64 scopes) {
    struct boot_info *boot = (struct boot_info *)BOOT_INFO;
    u32 user = (u32)host3(NR_GETEUID, 0, 0, 0), group = (u32)host3(NR_GETEGID, 0, 0, 0);
    if (!scopes || boot->backend != BACKEND_PROCESS || !wants_users() ||
        host3(NR_UNSHARE, NEW_USERS, 0, 0) < 0)
        return;
    boot->nobody = (u64)host3(NR_GETEUID, 0, 0, 0) | (u64)host3(NR_GETEGID, 0, 0, 0) << 32;
    write_to("/proc/self/setgroups", "deny");
    map_itself("/proc/self/uid_map", user);
    map_itself("/proc/self/gid_map", group);
}
