/*
 * Names below a volume, changed for a guest that only says which: by the kvm monitor, or by the
 * process beside a guest's (features/namer).  The folder of a name is opened below the volume's,
 * and the name itself is plain, so that no call here follows a path.
 */
#ifndef LIMPET_VOLUME_BELOW_H
#define LIMPET_VOLUME_BELOW_H

#include "features/devices/devices.h"

/* What is asked for, without where the names are. */
struct naming {
    u64 what, argument, volume;
    const s64 *times;
    const u64 *file;
};

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

/* Whether what is open is the file that is meant. */
static bool is_file(const u64 *stat, const u64 *file) {
    return stat[1] == file[0] && stat[0] == file[1];
}

/* The name may be another file's by now, which is not to be changed. */
static bool is_meant(long fd, const u64 *file) {
    u64 stat[STAT_SIZE / sizeof(u64)] = {0};
    return (!file[0] && !file[1]) ||
           (host3(NR_FSTAT, fd, (long)stat, 0) == 0 && is_file(stat, file));
}

/* Whom the host lets use a socket, a pipe or a device that lies there is not the guest's to say. */
static bool is_file_or_folder(long fd) {
    u64 stat[STAT_SIZE / sizeof(u64)] = {0};
    u64 kind = host3(NR_FSTAT, fd, (long)stat, 0) == 0 ? stat[3] & S_IFMT : 0;
    return kind == S_IFREG || kind == S_IFDIR;
}

/* Before Linux 6.6 only of what may be opened. */
static long change_open_mode(const struct mft_entry *device, const char *path,
                             const struct naming *asked) {
    long fd = open_way(device, path, 0);
    if (fd == -HOST_EACCES)
        fd = open_way(device, path, HOW_WRITES);
    if (fd == -HOST_EISDIR)
        return -HOST_EACCES;
    if (fd < 0)
        return fd;
    long error =
        is_meant(fd, asked->file) ? host3(NR_FCHMOD, fd, (long)asked->argument, 0) : -HOST_ENOENT;
    host3(NR_CLOSE, fd, 0, 0);
    return error;
}

static long change_open(long fd, const struct naming *asked) {
    if (!is_meant(fd, asked->file))
        return -HOST_ENOENT;
    if (asked->what == NAMED_TIMES)
        return host4(NR_UTIMENSAT, fd, NO_NAME, (long)asked->times, NAMED_ITSELF);
    return is_file_or_folder(fd)
               ? host4(NR_FCHMODAT2, fd, NO_NAME, (long)asked->argument, NAMED_ITSELF)
               : -HOST_EPERM;
}

static long change_file(const struct mft_entry *device, const char *path,
                        const struct naming *asked) {
    bool mode = asked->what == NAMED_MODE;
    if (mode ? asked->argument > MODE_MOST : asked->argument > HOW_NO_FOLLOW)
        return -HOST_EPERM;
    long fd = open_way(device, path, HOW_PATH | (mode ? 0 : asked->argument));
    if (fd < 0)
        return fd;
    long error = change_open(fd, asked);
    host3(NR_CLOSE, fd, 0, 0);
    bool unknown = mode && error == -HOST_ENOSYS;
    return unknown ? change_open_mode(device, path, asked) : error;
}

static long change_two(const struct mft_entry *device, long folder, const char *name, char *other,
                       const struct naming *asked) {
    const char *old;
    long from = open_folder_of(device, other, &old);
    if (from < 0)
        return from;
    long error =
        asked->what == NAMED_SAME
            ? host6(NR_LINKAT, from, (long)old, folder, (long)name, 0, 0)
            : host6(NR_RENAMEAT2, from, (long)old, folder, (long)name, (long)asked->argument, 0);
    host3(NR_CLOSE, from, 0, 0);
    return error;
}

static long change_name(const struct mft_entry *device, long folder, const char *name, char *other,
                        const struct naming *asked) {
    switch (asked->what) {
    case NAMED_FOLDER:
        return asked->argument > MODE_MOST
                   ? -HOST_EPERM
                   : host3(NR_MKDIRAT, folder, (long)name, (long)asked->argument);
    case NAMED_LINK:
        return host3(NR_SYMLINKAT, (long)other, folder, (long)name);
    case NAMED_NOTHING:
        return host3(NR_UNLINKAT, folder, (long)name, 0);
    case NAMED_NO_FOLDER:
        return host3(NR_UNLINKAT, folder, (long)name, NAMED_REMOVE_FOLDER);
    case NAMED_SAME:
    case NAMED_MOVED:
        return asked->argument > 2 ? -HOST_EINVAL : change_two(device, folder, name, other, asked);
    default:
        return -HOST_EINVAL;
    }
}

static long name_below(const struct mft_entry *device, char *names, const struct naming *asked) {
    char *other = names + length(names) + 1;
    const char *name;
    if (asked->what == NAMED_MODE || asked->what == NAMED_TIMES)
        return change_file(device, names, asked);
    long folder = open_folder_of(device, names, &name);
    if (folder < 0)
        return folder;
    long error = change_name(device, folder, name, other, asked);
    host3(NR_CLOSE, folder, 0, 0);
    return error;
}

/* The names are two, each ended by a zero byte; whoever calls has put two more behind them. */
static long change_below(const struct naming *asked, char *names) {
    const struct mft_entry *device = device_at(asked->volume, DEVICE_VOLUME);
    if (!device)
        return -HOST_EINVAL;
    return device->read_only ? -HOST_EROFS : name_below(device, names, asked);
}

#endif
