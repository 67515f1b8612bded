/* openat2(2): flags that are checked, and paths that stay where they are told to. */
#include "parts/files/node.h"

long sys_openat(long directory, long path, long flags, long mode);

struct open_how {
    u64 flags, mode, resolve;
};

enum { FASYNC = 020000, TMPFILE_ALONE = O_TMPFILE & ~O_DIRECTORY, MODE_BITS = 07777 };
#define OPEN_FLAGS                                                                                 \
    ((u64)(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC |    \
           FASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC |    \
           O_PATH | O_TMPFILE))
#define PATH_FLAGS ((u64)(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC))

static long check(const struct open_how *how) {
    bool creates = how->flags & O_CREAT || how->flags & TMPFILE_ALONE;
    if (how->flags & ~OPEN_FLAGS || how->resolve & ~(u64)RESOLVE_FLAGS)
        return -EINVAL;
    if (how->resolve & RESOLVE_BENEATH && how->resolve & RESOLVE_IN_ROOT)
        return -EINVAL;
    if (how->mode & ~(u64)(creates ? MODE_BITS : 0))
        return -EINVAL;
    if (how->flags & O_PATH && how->flags & ~PATH_FLAGS)
        return -EINVAL;
    return 0;
}

/* A longer structure is one of a newer kernel: good when it asks for nothing new. */
static long take_how(struct open_how *how, const u8 *from, u64 size) {
    if (size < sizeof *how)
        return -EINVAL;
    if (size > PAGE)
        return -E2BIG;
    memcpy(how, from, sizeof *how);
    for (u64 i = sizeof *how; i < size; i++)
        if (from[i])
            return -E2BIG;
    return 0;
}

long sys_openat2(long directory, long path, long given, long size) {
    struct open_how how = {0};
    long error = take_how(&how, (const u8 *)given, (u64)size);
    if (!error)
        error = check(&how);
    if (error)
        return error;
    bool cached_only = how.resolve & RESOLVE_CACHED;
    if (cached_only && how.flags & (O_TRUNC | O_CREAT | (u64)TMPFILE_ALONE))
        return -EAGAIN;
    if (strlen((const char *)path) >= PATH_MAX) /* a bad pointer ends here, before the bounds */
        return -ENAMETOOLONG;
    walk_bounded((u32)how.resolve);
    long fd = sys_openat(directory, path, (long)how.flags, (long)how.mode);
    walk_bounded(0);
    return fd;
}
