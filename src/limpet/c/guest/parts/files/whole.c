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
    struct file *file;
    long error = walk_to_file(AT_FDCWD, (const char *)path, true, &node, &file);
    if (error)
        return error;
    if (!node && of_volume(file))
        return guest_volumes->room(file, (void *)to, sizeof(struct linux_statfs));
    fill_statfs(to);
    return 0;
}

long sys_fstatfs(long fd, long to) {
    struct file *file = fd_get(fd);
    if (!file)
        return -EBADF;
    if (of_volume(file))
        return guest_volumes->room(file, (void *)to, sizeof(struct linux_statfs));
    fill_statfs(to);
    return 0;
}
