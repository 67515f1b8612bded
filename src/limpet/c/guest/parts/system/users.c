/*
 * What a user may do who is not root (path_resolution(7), inode(7), unlink(2) on sticky folders).
 *
 * Nothing of this is in a bundle whose program cannot become another user, and until it has
 * nothing is asked: root may do everything.
 */
#include "parts/files/node.h"
#include "parts/system/identity.h"

static bool in_group(u32 group) {
    u32 low = 0, high = identity.other_count;
    while (low < high) {
        u32 middle = (low + high) / 2;
        if (identity.others[middle] == group)
            return true;
        if (identity.others[middle] < group)
            low = middle + 1;
        else
            high = middle;
    }
    return group == identity.groups[FOR_FILES];
}

static bool is_owner(const struct node *node) {
    return node->uid == identity.users[FOR_FILES];
}

/* The program's own descriptors in /proc, whoever it has become. */
static bool is_own(const struct node *node) {
    return node->device == DEVICE_FDS || node->device == DEVICE_FD_INFO;
}

static long user_may(const struct node *node, u32 want) {
    u32 mode = node->mode;
    if (is_owner(node))
        mode >>= 6;
    else if (in_group(node->gid))
        mode >>= 3;
    if (!(want & ~mode) || is_own(node))
        return 0;
    bool folder = is_directory(node);
    if (capable(CAP_DAC_OVERRIDE) && (folder || !(want & MAY_EXECUTE) || node->mode & 0111))
        return 0;
    bool reads = folder ? !(want & MAY_WRITE) : want == MAY_READ;
    return capable(CAP_DAC_READ_SEARCH) && reads ? 0 : -EACCES;
}

static long user_owns(const struct node *node) {
    return is_owner(node) || capable(CAP_FOWNER) ? 0 : -EPERM;
}

static long user_removes(const struct node *directory, const struct node *node) {
    long error = user_may(directory, MAY_WRITE | MAY_EXECUTE);
    if (error || !(directory->mode & S_ISVTX) || is_owner(directory))
        return error;
    return user_owns(node);
}

static u32 user_mode(u32 mode, u32 group) {
    return in_group(group) || capable(CAP_FSETID) ? mode : mode & ~(u32)S_ISGID;
}

/* Who gives a file away takes its set-ID bits, which only its owner may. */
static long user_gives(const struct node *node, u32 user, u32 group) {
    bool own = is_owner(node);
    if (after_owner(node) != node->mode && user_owns(node))
        return -EPERM;
    if (capable(CAP_CHOWN))
        return 0;
    if (user != ~0U && !(own && user == node->uid))
        return -EPERM;
    if (group != ~0U && !(own && (group == node->gid || in_group(group))))
        return -EPERM;
    return 0;
}

static void user_made(struct node *node) {
    node->uid = identity.users[FOR_FILES];
    node->gid = identity.groups[FOR_FILES];
}

/* What anybody wrote into runs as nobody else (inode(7), on the set-ID bits). */
static void user_wrote(struct node *node) {
    if (!capable(CAP_FSETID))
        node->mode &= ~(u32)(S_ISUID | (node->mode & 010 ? S_ISGID : 0));
}

/* Meanwhile files are asked for as whoever the program really is (access(2)). */
static void user_asks(bool begins) {
    static u32 user, group;
    static u64 effective;
    if (begins) {
        user = identity.users[FOR_FILES], group = identity.groups[FOR_FILES];
        effective = identity.effective;
        identity.users[FOR_FILES] = identity.users[REAL];
        identity.groups[FOR_FILES] = identity.groups[REAL];
        identity.effective = identity.users[REAL] ? 0 : identity.permitted;
    } else {
        identity.users[FOR_FILES] = user, identity.groups[FOR_FILES] = group;
        identity.effective = effective;
    }
}

static const struct users checked = {
    .may = user_may,
    .owns = user_owns,
    .removes = user_removes,
    .gives = user_gives,
    .mode = user_mode,
    .made = user_made,
    .written = user_wrote,
    .asks = user_asks,
};

void identity_changed(void) {
    users = &checked;
}
