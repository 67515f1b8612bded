/* Capabilities: the program has none. */
#include "parts/system/own.h"

struct header {
    u32 version;
    s32 pid;
};

#define FIRST_VERSION 0x19980330U
#define SECOND_VERSION 0x20071026U
#define THIRD_VERSION 0x20080522U

/* The words of each set, or -EINVAL with the version that would do. */
static long words_of(struct header *header) {
    switch (header->version) {
    case FIRST_VERSION:
        return 1;
    case SECOND_VERSION:
    case THIRD_VERSION:
        return 2;
    default:
        header->version = THIRD_VERSION;
        return -EINVAL;
    }
}

long sys_capget(long at, long data) {
    struct header *header = (struct header *)at;
    long words = words_of(header);
    if (!data)
        return 0;
    if (words < 0 || header->pid < 0)
        return -EINVAL;
    if (own_thread(header->pid))
        return -ESRCH;
    memset((void *)data, 0, (u64)words * 3 * sizeof(u32));
    return 0;
}

long sys_capset(long at, long data) {
    struct header *header = (struct header *)at;
    long words = words_of(header);
    if (words < 0)
        return -EINVAL;
    if (header->pid && header->pid != current->id)
        return -EPERM;
    const u32 *wanted = (const u32 *)data;
    for (long i = 0; i < words * 3; i++)
        if (wanted[i])
            return -EPERM;
    return 0;
}
