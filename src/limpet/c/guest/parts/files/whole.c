/* What is known of the tree as a whole. */
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
