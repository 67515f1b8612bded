/*
 * Volumes: folders of the host's.  The descriptor is one with O_PATH, which only leads further
 * down; the filter holds each opening to it, and Landlock, behind it, knows the same folders.
 */
enum { BENEATH = 1, READ_FILES = 0x4, READ_FOLDERS = 0x8, WRITE_FILES = 0x2, NEW_FILES = 0x100 };
enum { CUT_FILES = 0x4000, NAME_RIGHTS = 0x30b0 }; /* remove, make folders and links, refer */

/* Who the monitor will be, behind its walls: what the guest makes below a volume is that user's. */
static u64 own_user(void) {
    u64 user = (u64)host3(NR_GETEUID, 0, 0, 0);
    u64 group = user ? (u64)host3(NR_GETEGID, 0, 0, 0) : OWN_GID;
    return (user ? user : OWN_UID) | group << 32;
}

static bool take_volume_option(const char *option) {
    const char *path, *rest = behind(option, "--volume:");
    if (!rest)
        return false;
    struct mft_entry *device = find_device(rest, DEVICE_VOLUME, &path);
    long fd = open_folder(path), mount = -1;
    if (fd == -HOST_ENOENT || fd == -HOST_ENOTDIR)
        complain("limpet: cannot attach ", path, SHOWN,
                 fd == -HOST_ENOENT ? ": no such folder" : ": not a folder");
    host3(NR_UMASK, 0, 0, 0); /* the guest has one of its own */
    if (fd >= 0)
        mount = own_mount(device, fd);
    if (fd >= 0 && mount < 0)
        mount = lent_mount(device, path);
    if (STRICT && fd >= 0 && mount < 0)
        complain("limpet: --strict: cannot attach ", path, SHOWN,
                 " as a mount of its own: run `limpet doctor`");
    device->no_devices = mount >= 0, device->capacity = own_user();
    attach(device, path, device->no_devices ? mount : fd);
    return true;
}

/* As the host does, until the process is in a namespace of users (features/namer). */
static void show_owners(void) {
    ((struct boot_info *)BOOT_INFO)->nobody = 0;
}

static inline bool has_namer(void) {
    return host3(NR_FCNTL, NAMER_FD, F_GETFD, 0) >= 0;
}

/* Whoever has a namer beside it changes no names itself; the namer and a kvm monitor have none. */
static inline u64 rights_to_names(void) {
    return has_namer() ? 0 : NAME_RIGHTS;
}

/* Below each folder, what its volume allows of the rights that are kept from everything else.  A
 * parent beside the guest's process has no folder, whatever else it has open. */
static void allow_volumes(long rules, u64 files, u64 names) {
    for (u64 i = 1; i < MANIFEST->count; i++) {
        const struct mft_entry *device = &MANIFEST->entries[i];
        u64 rights = READ_FILES | READ_FOLDERS;
        if (device->type != DEVICE_VOLUME)
            continue;
        if (!device->read_only)
            rights |= WRITE_FILES | NEW_FILES | CUT_FILES | names;
        const struct __attribute__((packed)) {
            u64 rights;
            s32 folder;
        } rule = {rights & files, (s32)device->handle};
        if (rule.rights && device->attached && host3(NR_FCNTL, rule.folder, F_GETFD, 0) >= 0)
            must(host4(NR_LANDLOCK_ADD_RULE, rules, BENEATH, (long)&rule, 0));
    }
}

/* Whether there would be no way out of a root that is one of the folders' own mounts.  A directory
 * that the starter left open leads elsewhere, and --strict keeps every wall. */
static bool can_have_root(void) {
    const struct boot_info *boot = (const struct boot_info *)BOOT_INFO;
    for (u64 i = 1; i < MANIFEST->count; i++)
        if (MANIFEST->entries[i].type == DEVICE_VOLUME && !MANIFEST->entries[i].no_devices)
            return false;
    for (u64 fd = 0; fd < FIRST_FD; fd++)
        if ((boot->stdio[fd].mode & S_IFMT) == S_IFDIR)
            return false;
    return !STRICT;
}

static long some_volume(void) {
    u64 i = 1;
    while (MANIFEST->entries[i].type != DEVICE_VOLUME)
        i++;
    return (long)MANIFEST->entries[i].handle;
}

/* Of who may change it: the root becomes a folder's own mount, so that nothing else has a path.
 * Then Landlock, which would look at each file that is opened, has no reading to keep.  Below a
 * volume that is written it keeps the rest from a guest that can change no names; for any other a
 * namer would change them. */
static u64 files_to_fence(void) {
    u64 kept = 0;
    if (!can_have_root() || host3(NR_FCHDIR, some_volume(), 0, 0) < 0 ||
        host3(NR_CHROOT, (long)".", 0, 0) < 0)
        return ~0UL;
    for (u64 i = 1; i < MANIFEST->count; i++)
        if (MANIFEST->entries[i].type == DEVICE_VOLUME && !MANIFEST->entries[i].read_only &&
            !has_namer())
            kept = ~(u64)(READ_FILES | READ_FOLDERS | CUT_FILES);
    return kept;
}
