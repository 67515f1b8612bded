/* volume_name on kvm: the folder of a name is opened below the volume's, and the name itself is
 * plain, so that no call here follows a path. */
enum { NAMED_FOLDER, NAMED_LINK = 2, NAMED_NOTHING, NAMED_NO_FOLDER, NAMED_SAME, NAMED_MOVED };
enum { NAMED_MODE = 7, NAMED_TIMES = 8, NAMED_REMOVE_FOLDER = 0x200, NAMED_ITSELF = 0x1000 };

static long open_way(const struct mft_entry *device, const char *path, u64 way) {
    return host4(NR_OPENAT2, (long)device->handle, (long)path, (long)(OPEN_WAYS + way * HOW_SIZE),
                 HOW_SIZE);
}

/* The folder that the last name of a path is in. */
static long open_folder_of(const struct mft_entry *device, char *path, const char **name) {
    char *last = path + length(path);
    while (last > path && last[-1] != '/')
        last--;
    bool dots = last[0] == '.' && (!last[1] || (last[1] == '.' && !last[2]));
    *name = last;
    if (!*last || dots)
        return -HOST_EINVAL;
    if (last > path)
        last[-1] = 0;
    return open_way(device, last > path ? path : ".", HOW_PATH | HOW_FOLDER);
}

static long change_file(const struct mft_entry *device, const char *path,
                        const struct volume_name *block) {
    bool mode = block->what == NAMED_MODE;
    u64 way = mode ? 0 : HOW_PATH | block->argument;
    if (mode ? block->argument > MODE_MOST : block->argument > HOW_NO_FOLLOW)
        return -HOST_EPERM;
    long fd = open_way(device, path, way);
    if (fd == -HOST_EACCES && mode)
        fd = open_way(device, path, HOW_WRITES);
    if (fd < 0)
        return fd;
    long error = mode ? host3(NR_FCHMOD, fd, (long)block->argument, 0)
                      : host4(NR_UTIMENSAT, fd, NO_NAME, (long)block->times, NAMED_ITSELF);
    host3(NR_CLOSE, fd, 0, 0);
    return error;
}

static long change_two(const struct mft_entry *device, long folder, const char *name, char *other,
                       const struct volume_name *block) {
    const char *old;
    long from = open_folder_of(device, other, &old);
    if (from < 0)
        return from;
    long error =
        block->what == NAMED_SAME
            ? host6(NR_LINKAT, from, (long)old, folder, (long)name, 0, 0)
            : host6(NR_RENAMEAT2, from, (long)old, folder, (long)name, (long)block->argument, 0);
    host3(NR_CLOSE, from, 0, 0);
    return error;
}

static long change_name(const struct mft_entry *device, long folder, const char *name, char *other,
                        const struct volume_name *block) {
    switch (block->what) {
    case NAMED_FOLDER:
        return block->argument > MODE_MOST
                   ? -HOST_EPERM
                   : host3(NR_MKDIRAT, folder, (long)name, (long)block->argument);
    case NAMED_LINK:
        return host3(NR_SYMLINKAT, (long)other, folder, (long)name);
    case NAMED_NOTHING:
        return host3(NR_UNLINKAT, folder, (long)name, 0);
    case NAMED_NO_FOLDER:
        return host3(NR_UNLINKAT, folder, (long)name, NAMED_REMOVE_FOLDER);
    default:
        return block->what > NAMED_MOVED || block->argument > 2
                   ? -HOST_EINVAL
                   : change_two(device, folder, name, other, block);
    }
}

static long name_below(const struct mft_entry *device, char *names,
                       const struct volume_name *block) {
    char *other = names + length(names) + 1;
    const char *name;
    if (block->what == NAMED_MODE || block->what == NAMED_TIMES)
        return change_file(device, names, block);
    long folder = open_folder_of(device, names, &name);
    if (folder < 0)
        return folder;
    long error = change_name(device, folder, name, other, block);
    host3(NR_CLOSE, folder, 0, 0);
    return error;
}

static void serve_volume_name(struct volume_name *block) {
    char names[VOLUME_NAMES_MOST + 2];
    const struct mft_entry *device = device_at(block->volume, DEVICE_VOLUME);
    const void *from = guest_range(block->address, block->length, GUEST_LO, GUEST_HI);
    block->result = device && block->length <= VOLUME_NAMES_MOST ? -HOST_EFAULT : -HOST_EINVAL;
    if (!from || block->result == -HOST_EINVAL)
        return;
    memcpy(names, from, block->length);
    names[block->length] = names[block->length + 1] = 0;
    block->result = device->read_only ? -HOST_EROFS : name_below(device, names, block);
}
