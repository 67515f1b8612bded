/* What only an administrator of the machine may do: nobody here is. */
#include "parts/files/node.h"

long sys_chroot(long path) {
    struct node *node;
    long error = walk_to(AT_FDCWD, (const char *)path, true, &node);
    if (error)
        return error;
    return is_directory(node) ? -EPERM : -ENOTDIR;
}

long sys_pivot_root(long root, long old) {
    (void)root, (void)old;
    return -EPERM;
}

long sys_mount(long from, long path, long kind, long flags, long data) {
    (void)from, (void)path, (void)kind, (void)flags, (void)data;
    return -EPERM;
}

enum { UMOUNT_FLAGS = 0xf };

long sys_umount2(long path, long flags) {
    (void)path;
    return (u32)flags & ~(u32)UMOUNT_FLAGS ? -EINVAL : -EPERM;
}

/* Files are found by name only. */
long sys_name_to_handle_at(long directory, long path, long handle, long mount, long flags) {
    (void)directory, (void)path, (void)handle, (void)mount, (void)flags;
    return -EOPNOTSUPP;
}

long sys_open_by_handle_at(long mount, long handle, long flags) {
    (void)mount, (void)handle, (void)flags;
    return -EPERM;
}
