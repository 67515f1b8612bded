/* Files without a name, and their seals (memfd_create(2)). */
#include "parts/files/node.h"

enum { MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2, MFD_NOEXEC_SEAL = 8, MFD_EXEC = 0x10 };
#define MFD_FLAGS (MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC)
enum { F_SETPIPE_SZ = 1031, F_GETPIPE_SZ = 1032 };
enum { F_ADD_SEALS = 1033, F_GET_SEALS = 1034, MOST_MEMFD_NAME = 249 };
#define F_SEALS 0x3fU /* all of them */

long regular_control(struct file *file, u32 command, long argument) {
    struct node *node = file->object;
    u32 seals = (u32)argument, have = node->seals & SEALABLE ? node->seals : F_SEAL_SEAL;
    if (command == F_SETPIPE_SZ || command == F_GETPIPE_SZ)
        return -EBADF;
    if (command == F_GET_SEALS)
        return have & F_SEALS;
    if (command != F_ADD_SEALS)
        return -EINVAL;
    if (!writable(file))
        return -EPERM;
    if (seals & ~F_SEALS)
        return -EINVAL;
    if (have & F_SEAL_SEAL)
        return -EPERM;
    if (seals & F_SEAL_EXEC && node->mode & 0111)
        seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
    node->seals |= seals;
    return 0;
}

static long check_name(const char *name) {
    u64 length = 0;
    while (length <= MOST_MEMFD_NAME && name[length])
        length++;
    return length > MOST_MEMFD_NAME ? -EINVAL : 0;
}

long sys_memfd_create(long name, long flags) {
    if ((u32)flags & ~(u32)MFD_FLAGS || (flags & MFD_EXEC && flags & MFD_NOEXEC_SEAL))
        return -EINVAL;
    long fd = check_name((const char *)name);
    if (!fd)
        fd = fd_lowest(0);
    if (fd < 0)
        return fd;
    bool no_exec = flags & MFD_NOEXEC_SEAL;
    struct node *node = node_new(S_IFREG | (no_exec ? 0666 : 0777));
    if (!node)
        return -ENOMEM;
    node->seals = SEALABLE | (no_exec ? F_SEAL_EXEC : flags & MFD_ALLOW_SEALING ? 0 : F_SEAL_SEAL);
    return open_node(node, &regular_ops, O_RDWR | (flags & MFD_CLOEXEC ? O_CLOEXEC : 0));
}
