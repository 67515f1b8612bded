/*
 * A volume as a mount of its own: below it the kernel opens no device, starts no program, and
 * writes nothing that is only to be read.
 *
 * Root may make one.  Anybody else may where he is root himself: in namespaces of users and of
 * mounts that he makes.  What is made there is a descriptor like any other, and outlasts them.  So
 * a child makes it, which ends at once, and the monitor stays who it is, where it is.
 */
/* MOUNT_ATTR_*, MS_* */
enum { READ_ONLY = 1, NO_SET_ID = 2, NO_DEVICES = 4, NO_PROGRAMS = 8, PRIVATE = 1 << 18 };
enum { COPY = 1, WHOLE_TREE = 0x9000 }; /* OPEN_TREE_CLONE; AT_EMPTY_PATH and AT_RECURSIVE */
enum {
    /* CLONE_NEWUSER, CLONE_NEWNS, and CLONE_VFORK, CLONE_FILES, CLONE_VM */
    ROOT_OF_ITS_OWN = 0x10020000 | 0x4500,
    ANY_CHILD = 0x40000000 /* __WALL: also one that sends no signal as it ends */
};

static long open_folder(const char *path) {
    return host4(NR_OPENAT, AT_FDCWD, (long)path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
}

static long own_mount(const struct mft_entry *device, long folder) {
    const u64 kept = NO_SET_ID | NO_DEVICES | NO_PROGRAMS;
    const struct {
        u64 set, clear, propagation, user;
    } rules = {kept | (device->read_only ? READ_ONLY : 0), 0, PRIVATE, 0};
    long mount = host4(NR_OPEN_TREE, folder, (long)"", COPY | O_CLOEXEC | WHOLE_TREE, 0);
    if (mount < 0)
        return mount;
    long error =
        host6(NR_MOUNT_SETATTR, mount, (long)"", WHOLE_TREE, (long)&rules, sizeof rules, 0);
    if (error == 0)
        return mount;
    host3(NR_CLOSE, mount, 0, 0);
    return error;
}

/* The folder is opened again: what was opened outside is of other mounts. */
static __attribute__((noinline)) _Noreturn void lend_mount(const struct mft_entry *device,
                                                           const char *path, volatile long *mount) {
    long folder = open_folder(path);
    *mount = folder < 0 ? folder : own_mount(device, folder);
    host3(NR_CLOSE, folder, 0, 0);
    for (;;)
        host3(NR_EXIT_GROUP, 0, 0, 0);
}

/* The child has this memory, stack and descriptors, while the monitor waits: it only calls. */
static __attribute__((noinline)) long lent_mount(const struct mft_entry *device, const char *path) {
    volatile long mount = -1;
    long child = host6(NR_CLONE, ROOT_OF_ITS_OWN, 0, 0, 0, 0, 0);
    if (!child)
        lend_mount(device, path, &mount);
    while (child > 0 && host4(NR_WAIT4, child, 0, ANY_CHILD, 0) == -HOST_EINTR)
        ;
    return mount;
}
