/* What is known of the tree as a whole, and the attributes that no file in it has. */
#include "parts/files/node.h"

struct linux_statfs {
    u64 type, block, blocks, blocks_free, blocks_available, files, files_free, id, name_length,
        fragment, flags, spare[4];
};

#define TMPFS_MAGIC 0x01021994

static void fill_statfs(long to) {
    u64 free = pages_free_count();
    *(struct linux_statfs *)to = (struct linux_statfs){
        .type = TMPFS_MAGIC,
        .block = PAGE,
        .fragment = PAGE,
        .blocks = (guest_info.arena_hi - guest_info.arena_lo + guest_info.tree_size) / PAGE,
        .blocks_free = free,
        .blocks_available = free,
        .files = packed_inode_count() + free,
        .files_free = free,
        .name_length = NAME_MAX,
    };
}

long sys_statfs(long path, long to) {
    struct node *node;
    long error = walk_to(AT_FDCWD, (const char *)path, true, &node);
    if (!error)
        fill_statfs(to);
    return error;
}

long sys_fstatfs(long fd, long to) {
    if (!fd_get(fd))
        return -EBADF;
    fill_statfs(to);
    return 0;
}

/* Extended attributes do not exist here. */
static long no_attribute(long path) {
    struct node *node;
    long error = walk_to(AT_FDCWD, (const char *)path, true, &node);
    return error ? error : -EOPNOTSUPP;
}

long sys_getxattr(long path, long name, long to, long size) {
    (void)name, (void)to, (void)size;
    return no_attribute(path);
}

long sys_lgetxattr(long path, long name, long to, long size) {
    (void)name, (void)to, (void)size;
    return no_attribute(path);
}

long sys_fgetxattr(long fd, long name, long to, long size) {
    (void)name, (void)to, (void)size;
    return fd_get(fd) ? -EOPNOTSUPP : -EBADF;
}

long sys_listxattr(long path, long to, long size) {
    (void)to, (void)size;
    return no_attribute(path);
}

long sys_llistxattr(long path, long to, long size) {
    (void)to, (void)size;
    return no_attribute(path);
}

long sys_flistxattr(long fd, long to, long size) {
    (void)to, (void)size;
    return fd_get(fd) ? -EOPNOTSUPP : -EBADF;
}
