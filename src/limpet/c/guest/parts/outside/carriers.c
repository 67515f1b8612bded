/*
 * Published ports of UDP: what comes to one goes to the socket that has the port in the guest, and
 * what that answers goes to who wrote, from the port of the host's.
 *
 * The porter, which is beside the guest, sends to nobody else.  Here the same is remembered, to
 * know which answers are its business: who wrote can have an address that is the guest's own too.
 */
#include "carried.h"
#include "parts/outside/links.h"
#include "parts/sockets/packets.h"
#include "peers.h"

static struct peers *peers[PUBLISHED_MOST];
static struct carried datagram LARGE;

static u32 carrier(u32 way) {
    return outside_slots.listeners + way;
}

static bool has(const struct socket *socket, u32 way) {
    return socket->published >> way & 1;
}

u64 carriers_bound(struct socket *socket) {
    u64 found = 0;
    for (u32 i = 0; i < ways_in_count; i++)
        if (ways_in[i].udp && published_leads_to(&ways_in[i], socket))
            found |= 1UL << i, published_maybe[i] = true;
    return found;
}

/* As the host's kernel has it. */
static void to_host(const struct endpoint *from, u8 *address) {
    bool version_4 = host_is_v4(from);
    memset(address, 0, SOCKET_ADDRESS_SIZE);
    address[0] = version_4 ? AF_INET : AF_INET6;
    address[2] = (u8)(from->port >> 8), address[3] = (u8)from->port;
    if (version_4)
        memcpy(address + 4, from->host + 12, 4);
    else
        memcpy(address + 8, from->host, 16);
    if (!version_4)
        memcpy(address + 24, &from->scope, sizeof from->scope);
}

/* The way in over which it wrote; ways_in_count: over none. */
static u32 way_of(const struct socket *socket, const struct endpoint *peer) {
    u8 address[SOCKET_ADDRESS_SIZE];
    u32 i = 0;
    to_host(peer, address);
    while (i < ways_in_count &&
           !(has(socket, i) && ways_in[i].udp && peers[i] && peer_known(peers[i], address)))
        i++;
    return i;
}

bool carriers_know(const struct socket *socket, const struct endpoint *peer) {
    return way_of(socket, peer) < ways_in_count;
}

/* A socket of the guest's has that address now. */
void carriers_forget(const struct socket *socket, const struct endpoint *peer) {
    u32 way = way_of(socket, peer);
    u8 address[SOCKET_ADDRESS_SIZE];
    if (way == ways_in_count)
        return;
    to_host(peer, address);
    memset(peer_known(peers[way], address)->address, 0, sizeof address);
}

static bool remember(u32 way) {
    if (!peers[way]) {
        peers[way] = heap_alloc(sizeof *peers[way]);
        if (!peers[way])
            return false;
        memset(peers[way], 0, sizeof *peers[way]);
        memcpy(&peers[way]->key, boot_info.random, sizeof peers[way]->key);
    }
    peer_heard(peers[way], datagram.address);
    return true;
}

/* One datagram to the socket that it is for; false: there is none. */
static bool receive_one(u32 way) {
    struct socket_receive block = {
        .slot = carrier(way), .address = (u64)&datagram, .length = sizeof datagram};
    hypercall_socket_receive(&block);
    published_maybe[way] = block.result >= (s64)CARRIED_HEAD;
    if (!published_maybe[way] || !remember(way))
        return false;
    struct endpoint from = endpoint_from_host(datagram.address);
    struct endpoint to = {.port = ways_in[way].port};
    source_for(&from, &to);
    struct socket *socket = port_find(&udp, &from, &to);
    if (socket)
        udp_put(socket, &from, datagram.bytes, (u64)block.result - CARRIED_HEAD);
    return true;
}

void carriers_receive(struct socket *socket, bool told) {
    for (u32 i = 0; i < ways_in_count; i++)
        while (has(socket, i) && !socket->in.first && (published_maybe[i] || !told))
            if (!receive_one(i))
                break;
}

long carriers_send(const struct socket *socket, struct message *message,
                   const struct endpoint *to) {
    u32 way = way_of(socket, to);
    u64 size = message->size;
    to_host(to, datagram.address);
    message_get(message, datagram.bytes, size);
    struct socket_send block = {.slot = carrier(way),
                                .flags = SOCKET_SEND,
                                .address = (u64)&datagram,
                                .length = CARRIED_HEAD + size};
    hypercall_socket_send(&block);
    message->done = block.result < 0 ? 0 : size;
    return MIN(block.result, 0);
}
