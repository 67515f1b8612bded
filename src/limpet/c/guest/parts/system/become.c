/*
 * Becoming another user or group (credentials(7)), and what that does to capabilities
 * (capabilities(7), "Effect of user ID changes on capabilities").
 *
 * All threads change at once; a C library, which has each of them do it, sees no difference.
 */
#include "libos.h"
#include "linux.h"
#include "parts/system/identity.h"

#define STAYS (~0U)

static bool any_root(const u32 *ids) {
    return !ids[REAL] || !ids[EFFECTIVE] || !ids[SAVED];
}

static void drop_with_root(const u32 *before) {
    const u32 *now = identity.users;
    if (any_root(before) && !any_root(now)) {
        if (!identity.keeps)
            identity.permitted = identity.effective = 0;
        identity.ambient = 0;
    }
    if (!before[EFFECTIVE] && now[EFFECTIVE])
        identity.effective = 0;
    if (before[EFFECTIVE] && !now[EFFECTIVE])
        identity.effective = identity.permitted;
}

/* The real, effective and saved ones, of users or groups. */
static long become(u32 *ids, const u32 *new) {
    u32 before[IDS];
    memcpy(before, ids, sizeof before);
    for (int i = REAL; i <= SAVED; i++)
        if (new[i] != STAYS)
            ids[i] = new[i];
    ids[FOR_FILES] = ids[EFFECTIVE];
    if (ids == identity.users)
        drop_with_root(before);
    identity_changed();
    return 0;
}

static bool is_one(const u32 *ids, u32 id, u32 count) {
    for (u32 i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return id == STAYS;
}

static bool may_be_any(const u32 *ids) {
    return capable(ids == identity.users ? CAP_SETUID : CAP_SETGID);
}

static long set_one(u32 *ids, u32 id) {
    const u32 all[] = {id, id, id}, effective[] = {STAYS, id, STAYS};
    if (id == STAYS)
        return -EINVAL;
    if (may_be_any(ids))
        return become(ids, all);
    return id == ids[REAL] || id == ids[SAVED] ? become(ids, effective) : -EPERM;
}

static long set_two(u32 *ids, u32 real, u32 effective) {
    bool may = may_be_any(ids);
    if (!may && (!is_one(ids, real, 2) || !is_one(ids, effective, 3)))
        return -EPERM;
    bool saves = real != STAYS || (effective != STAYS && effective != ids[REAL]);
    u32 saved = effective == STAYS ? ids[EFFECTIVE] : effective;
    const u32 new[] = {real, effective, saves ? saved : STAYS};
    return become(ids, new);
}

static long set_three(u32 *ids, u32 real, u32 effective, u32 saved) {
    const u32 new[] = {real, effective, saved};
    bool may = may_be_any(ids);
    for (int i = REAL; i <= SAVED; i++)
        if (!may && !is_one(ids, new[i], 3))
            return -EPERM;
    return become(ids, new);
}

/* The one that files are asked for; what it was is the result, whether it changes or not. */
static long set_for_files(u32 *ids, u32 id) {
    u32 before = ids[FOR_FILES];
    if (id == STAYS || (!may_be_any(ids) && !is_one(ids, id, IDS)))
        return before;
    ids[FOR_FILES] = id;
    bool of_user = ids == identity.users;
    if (of_user && !before && id)
        identity.effective &= ~FILE_CAPABILITIES;
    if (of_user && before && !id)
        identity.effective |= identity.permitted & FILE_CAPABILITIES;
    identity_changed();
    return before;
}

long sys_setuid(long id) {
    return set_one(identity.users, (u32)id);
}

long sys_setgid(long id) {
    return set_one(identity.groups, (u32)id);
}

long sys_setreuid(long real, long effective) {
    return set_two(identity.users, (u32)real, (u32)effective);
}

long sys_setregid(long real, long effective) {
    return set_two(identity.groups, (u32)real, (u32)effective);
}

long sys_setresuid(long real, long effective, long saved) {
    return set_three(identity.users, (u32)real, (u32)effective, (u32)saved);
}

long sys_setresgid(long real, long effective, long saved) {
    return set_three(identity.groups, (u32)real, (u32)effective, (u32)saved);
}

long sys_setfsuid(long id) {
    return set_for_files(identity.users, (u32)id);
}

long sys_setfsgid(long id) {
    return set_for_files(identity.groups, (u32)id);
}

static void sort(u32 *ids, u64 count) {
    for (u64 gap = count / 2; gap; gap /= 2)
        for (u64 i = gap; i < count; i++) {
            u32 id = ids[i];
            u64 at = i;
            for (; at >= gap && ids[at - gap] > id; at -= gap)
                ids[at] = ids[at - gap];
            ids[at] = id;
        }
}

long sys_setgroups(long size, long from) {
    u32 count = (u32)size;
    if (!capable(CAP_SETGID))
        return -EPERM;
    if (count > MOST_GROUPS)
        return -EINVAL;
    const u32 *given = (const u32 *)from;
    for (u32 i = 0; i < count; i++) /* a bad pointer ends here */
        if (given[i] == STAYS)
            return -EINVAL;
    u32 *others = count ? heap_alloc(count * sizeof *others) : NULL;
    if (count && !others)
        return -ENOMEM;
    memcpy(others, given, count * sizeof *others);
    sort(others, count);
    heap_free(identity.others);
    identity.others = others, identity.other_count = count;
    identity_changed();
    return 0;
}
