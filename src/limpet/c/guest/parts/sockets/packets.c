#include "parts/sockets/packets.h"
#include "parts/sockets/unix.h"

struct packet *packet_new(u32 room) {
    struct packet *packet = heap_alloc(sizeof *packet + room);
    if (packet)
        packet->room = room;
    return packet;
}

void packet_charge(struct packet *packet, struct socket *sender, u32 charge) {
    packet->sender = sender;
    packet->charge = charge;
    sender->references++;
    sender->charged += charge;
}

/* Whoever sent it has room again. */
static void uncharge(struct packet *packet) {
    struct socket *sender = packet->sender;
    if (!sender)
        return;
    sender->charged -= packet->charge;
    if (!sender->dead && unix_writable(sender))
        socket_changed(sender, POLL_WRITABLE | POLLWRBAND);
    socket_put(sender);
}

void packet_free(struct packet *packet) {
    uncharge(packet);
    unix_name_put(packet->from);
    rights_drop(packet->rights);
    heap_free(packet);
}

void packet_add(struct socket *to, struct packet *packet) {
    struct queue *queue = &to->in;
    if (queue->last)
        queue->last->next = packet;
    else
        queue->first = packet;
    queue->last = packet;
    queue->count++;
    queue->bytes += packet_left(packet);
}

struct packet *packet_take(struct socket *from) {
    struct queue *queue = &from->in;
    struct packet *packet = queue->first;
    if (!packet)
        return NULL;
    queue->first = packet->next;
    if (!queue->first)
        queue->last = NULL;
    queue->count--;
    queue->bytes -= packet_left(packet);
    return packet;
}

void packets_drop(struct socket *socket) {
    for (struct packet *packet; (packet = packet_take(socket));)
        packet_free(packet);
}

struct rights *rights_copy(const struct rights *rights) {
    u64 size = rights ? sizeof *rights + rights->count * sizeof rights->files[0] : 0;
    struct rights *copy = size ? heap_alloc(size) : NULL;
    if (!copy)
        return NULL;
    memcpy(copy, rights, size);
    for (u32 i = 0; i < copy->count; i++)
        copy->files[i]->references++;
    return copy;
}

/* A socket among them may have such of its own that nobody took, and so on: those wait until these
 * are done, since a thread's stack is small. */
void rights_drop(struct rights *rights) {
    static struct rights *left;
    static bool drops;
    if (!rights)
        return;
    rights->next = left;
    left = rights;
    if (drops)
        return;
    for (drops = true; left; heap_free(rights)) {
        rights = left;
        left = rights->next;
        for (u32 i = 0; i < rights->count; i++)
            file_release(rights->files[i]);
    }
    drops = false;
}
