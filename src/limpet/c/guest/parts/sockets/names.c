/* Names of AF_UNIX sockets: in the file tree, or abstract. */
#include "parts/files/node.h"
#include "parts/sockets/unix.h"

/* All of them. */
static struct socket *all;

void unix_enter(struct socket *socket) {
    socket_list(socket, &all);
}

/* Who waits for it or sends to it has a reference, as have its file and its peer. */
static bool others_refer(const struct socket *socket) {
    bool mutual = socket->peer && socket->peer->peer == socket;
    return socket->references > 1U + mutual;
}

void unix_queue_has_room(struct socket *socket) {
    if (!others_refer(socket))
        return;
    for (struct socket *each = all; each; each = each->next)
        if (each->waits_for == socket || (each->peer == socket && socket->peer != each))
            socket_changed(each, POLL_WRITABLE | POLLWRBAND);
}

void unix_name_put(struct unix_name *name) {
    if (name && !--name->references)
        heap_free(name);
}

static struct unix_name *name_new(const u8 *bytes, u32 length) {
    struct unix_name *name = heap_alloc(sizeof *name + length);
    if (!name)
        return NULL;
    name->references = 1;
    name->length = length;
    memcpy(name->bytes, bytes, length);
    return name;
}

/* The path ends with a zero, which Linux counts. */
static struct unix_name *path_name(const struct address *address) {
    struct address ended = *address;
    ended.bytes[MIN(address->length, UNIX_MOST)] = 0;
    u64 length = strlen((const char *)ended.bytes + UNIX_PATH);
    return name_new(ended.bytes, (u32)(UNIX_PATH + length + 1));
}

static bool is_abstract(const struct address *address) {
    return !address->bytes[UNIX_PATH];
}

long unix_check(const struct address *address) {
    bool fits = address->length > UNIX_PATH && address->length <= UNIX_MOST;
    return fits && address->family == AF_UNIX ? 0 : -EINVAL;
}

/* Sockets of one kind have names of their own. */
static struct socket *abstract(u8 type, const u8 *bytes, u32 length) {
    for (struct socket *each = all; each; each = each->next)
        if (each->bound && !each->node && each->type == type && each->file &&
            each->own_name->length == length && !memcmp(each->own_name->bytes, bytes, length))
            return each;
    return NULL;
}

static long bind_path(struct socket *socket, const struct address *address) {
    struct unix_name *name = path_name(address);
    struct node *node;
    if (!name)
        return -ENOMEM;
    long error =
        make_named(AT_FDCWD, (const char *)name->bytes + UNIX_PATH, S_IFSOCK | masked(0777), &node);
    if (!error && socket->own_name) {
        sys_unlink((long)(name->bytes + UNIX_PATH));
        error = -EINVAL;
    }
    if (!error && !node_extras(node))
        error = -ENOMEM;
    if (error) {
        unix_name_put(name);
        return error == -EEXIST ? -EADDRINUSE : error;
    }
    node->references++;
    node->extras->socket = socket;
    socket->node = node;
    socket->own_name = name;
    return 0;
}

static long bind_abstract(struct socket *socket, const struct address *address) {
    if (socket->own_name)
        return -EINVAL;
    if (abstract(socket->type, address->bytes, address->length))
        return -EADDRINUSE;
    socket->own_name = name_new(address->bytes, address->length);
    socket->bound = socket->own_name;
    return socket->bound ? 0 : -ENOMEM;
}

#define AUTOBIND_DIGITS 5

long unix_autobind(struct socket *socket) {
    static u32 next;
    struct address address = {.length = UNIX_PATH + 1 + AUTOBIND_DIGITS, .family = AF_UNIX};
    if (socket->own_name)
        return 0;
    do {
        u32 number = next++;
        for (u32 i = 0; i < AUTOBIND_DIGITS; i++)
            address.bytes[UNIX_PATH + AUTOBIND_DIGITS - i] =
                (u8) "0123456789abcdef"[number >> 4 * i & 15];
    } while (abstract(socket->type, address.bytes, address.length));
    return bind_abstract(socket, &address);
}

long unix_bind(struct socket *socket, const struct address *address) {
    if (address->length == UNIX_PATH && address->family == AF_UNIX)
        return unix_autobind(socket);
    long error = unix_check(address);
    if (error)
        return error;
    return is_abstract(address) ? bind_abstract(socket, address) : bind_path(socket, address);
}

static long find_path(const struct address *address, struct socket **found) {
    struct address ended = *address;
    struct node *node;
    ended.bytes[MIN(address->length, UNIX_MOST)] = 0;
    long error = walk_to(AT_FDCWD, (const char *)ended.bytes + UNIX_PATH, true, &node);
    if (error == -EOPNOTSUPP)
        return -ECONNREFUSED; /* below a volume, where nobody of the guest's listens */
    if (!error)
        error = may(node, MAY_WRITE);
    if (error)
        return error;
    *found = (node->mode & S_IFMT) == S_IFSOCK && node->extras ? node->extras->socket : NULL;
    return *found ? 0 : -ECONNREFUSED;
}

long unix_find(const struct socket *from, const struct address *address, struct socket **found) {
    long error = 0;
    if (is_abstract(address))
        *found = abstract(from->type, address->bytes, address->length);
    else
        error = find_path(address, found);
    if (error)
        return error;
    if (!*found)
        return -ECONNREFUSED;
    return (*found)->type == from->type ? 0 : -EPROTOTYPE;
}

void unix_name_told(const struct unix_name *name, struct address *to) {
    *to = (struct address){.length = UNIX_PATH, .family = AF_UNIX};
    if (!name)
        return;
    to->length = name->length;
    memcpy(to->bytes, name->bytes, name->length);
}

long unix_name(struct socket *socket, bool of_peer, struct address *to) {
    if (of_peer && !socket->peer)
        return -ENOTCONN;
    unix_name_told(of_peer ? socket->peer->own_name : socket->own_name, to);
    return 0;
}

/* Its path stays, and leads nowhere. */
void unix_leave(struct socket *socket) {
    struct node *node = socket->node;
    socket_unlist(socket);
    socket->node = NULL;
    if (!node)
        return;
    node->extras->socket = NULL;
    node->references--;
    node_release(node);
}
