/* Capabilities (capabilities(7)): those that mean something here. */
#include "parts/system/identity.h"
#include "parts/system/own.h"

struct header {
    u32 version;
    s32 pid;
};

/* Of 32 capabilities each; the newer versions have two. */
struct word {
    u32 effective, permitted, inheritable;
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
    memset((void *)data, 0, (u64)words * sizeof(struct word));
    *(struct word *)data =
        (struct word){(u32)identity.effective, (u32)identity.permitted, (u32)identity.inheritable};
    return 0;
}

static u64 both(u32 low, u32 high) {
    return (low | (u64)high << 32) & ((2ULL << LAST_CAPABILITY) - 1);
}

static bool within(u64 set, u64 of) {
    return !(set & ~of);
}

long sys_capset(long at, long data) {
    struct header *header = (struct header *)at;
    long words = words_of(header);
    if (words < 0)
        return -EINVAL;
    if (header->pid && header->pid != current->id)
        return -EPERM;
    const struct word *given = (const struct word *)data;
    struct word high = {0};
    if (words == 2)
        high = given[1];
    u64 effective = both(given->effective, high.effective);
    u64 permitted = both(given->permitted, high.permitted);
    u64 inheritable = both(given->inheritable, high.inheritable);
    if (!capable(CAP_SETPCAP) && !within(inheritable, identity.inheritable | identity.permitted))
        return -EPERM;
    if (!within(inheritable, identity.inheritable | identity.bounding) ||
        !within(permitted, identity.permitted) || !within(effective, permitted))
        return -EPERM;
    identity.effective = effective, identity.permitted = permitted;
    identity.inheritable = inheritable;
    identity.ambient &= permitted & inheritable;
    identity_changed();
    return 0;
}
