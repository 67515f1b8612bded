#include "parts/sockets/headers.h"

#define HEAD sizeof(struct linux_control)
#define OWN_ID 1

static long add_rights(struct message *message, const s32 *fds, u64 count) {
    struct rights *before = message->rights;
    u64 had = before ? before->count : 0;
    if (!count)
        return 0;
    if (had + count > RIGHTS_MOST)
        return -EINVAL;
    for (u64 i = 0; i < count; i++)
        if (fds[i] < 0 || !fd_get(fds[i]))
            return -EBADF;
    struct rights *all = heap_alloc(sizeof *all + (had + count) * sizeof all->files[0]);
    if (!all)
        return -ENOMEM;
    if (before)
        memcpy(all->files, before->files, had * sizeof all->files[0]);
    for (u64 i = 0; i < count; i++) {
        all->files[had + i] = fd_get(fds[i]);
        all->files[had + i]->references++;
    }
    all->count = (u32)(had + count);
    heap_free(before);
    message->rights = all;
    return 0;
}

static bool is_own_id(const u32 *ids, u32 id) {
    return id == ids[REAL] || id == ids[EFFECTIVE] || id == ids[SAVED];
}

static long take_credentials(struct message *message, const u8 *data, u64 size) {
    if (size != sizeof message->by)
        return -EINVAL;
    memcpy(&message->by, data, size);
    message->whom = true;
    if (message->by.uid == ~0U || message->by.gid == ~0U)
        return -EINVAL;
    if (message->by.pid != OWN_ID)
        return -ESRCH;
    bool user = is_own_id(identity.users, message->by.uid) || capable(CAP_SETUID);
    return user && (is_own_id(identity.groups, message->by.gid) || capable(CAP_SETGID)) ? 0
                                                                                        : -EPERM;
}

static long take_one(struct message *message, const struct linux_control *each) {
    u64 size = each->length - HEAD;
    if (each->level != SOL_SOCKET)
        return 0;
    switch (each->kind) {
    case SCM_RIGHTS:
        return add_rights(message, (const s32 *)(each + 1), size / sizeof(s32));
    case SCM_CREDENTIALS:
        return take_credentials(message, (const u8 *)(each + 1), size);
    default:
        return -EINVAL;
    }
}

long ancillary_take(struct socket *socket, const struct linux_message *from,
                    struct message *message) {
    u64 at = 0, size = from->control_size;
    long error = size > 0x7fffffff ? -ENOBUFS : 0;
    if (!error && is_datagrams(socket->transport))
        return headers_take(socket, from, message);
    if (socket->family != AF_UNIX)
        return error;
    if (!error && !fd_memory(from->control, size))
        error = -EFAULT;
    for (u64 i = 0; !error && i < size; i += PAGE) /* nothing is made yet */
        (void)*(const volatile u8 *)(from->control + i);
    while (!error && at + HEAD <= size) {
        const struct linux_control *each = (const struct linux_control *)(from->control + at);
        u64 length = each->length;
        if (length < HEAD || length > size - at)
            error = -EINVAL;
        else
            error = take_one(message, each);
        at += ALIGN_UP(MIN(length, size), 8);
    }
    if (error) {
        rights_drop(message->rights);
        message->rights = NULL;
    }
    return error;
}

void ancillary_touch(const struct linux_message *to) {
    volatile u8 *at = (volatile u8 *)to->control;
    for (u64 i = 0; at && i < MIN(to->control_size, 2 * PAGE); i += PAGE)
        at[i] = at[i];
}

void ancillary_put(struct room *room, s32 level, s32 kind, const void *data, u64 size) {
    struct linux_control head = {HEAD + size, level, kind};
    if (!room->at || room->left < HEAD) {
        room->told |= MSG_CTRUNC;
        return;
    }
    if (room->left < head.length) {
        room->told |= MSG_CTRUNC;
        head.length = room->left;
    }
    *(struct linux_control *)room->at = head;
    memcpy((void *)(room->at + HEAD), data, head.length - HEAD);
    u64 space = MIN(ALIGN_UP(HEAD + size, 8), room->left);
    room->at += space, room->left -= space, room->used += space;
}

/* Each that there is room for becomes a descriptor. */
static void put_rights(struct room *room, struct rights *rights, bool on_exec) {
    s32 fds[RIGHTS_MOST];
    u64 most = room->at && room->left > HEAD ? (room->left - HEAD) / sizeof(s32) : 0, count = 0;
    while (count < MIN(most, rights->count)) {
        long fd = fd_lowest(0);
        if (fd < 0)
            break;
        rights->files[count]->references++;
        fds[count] = (s32)fd_install(rights->files[count], 0, on_exec);
        count++;
    }
    if (count)
        ancillary_put(room, SOL_SOCKET, SCM_RIGHTS, fds, count * sizeof(s32));
    if (count < rights->count)
        room->told |= MSG_CTRUNC;
}

u64 ancillary_give(struct socket *socket, const struct linux_message *to, struct message *message) {
    struct room room = {to->control, to->control_size, 0, 0};
    struct credentials by = message->by;
    if (!message->whom)
        by = (struct credentials){0, 65534, 65534};
    if (option(socket, SO_PASSCRED))
        ancillary_put(&room, SOL_SOCKET, SCM_CREDENTIALS, &by, sizeof by);
    struct rights *rights = message->rights;
    message->rights = NULL;
    if (rights)
        put_rights(&room, rights, message->flags & MSG_CMSG_CLOEXEC);
    rights_drop(rights);
    if (message->header.hops >= 0)
        headers_give(socket, &room, &message->header);
    message->told |= room.told;
    return room.used;
}
