/*
 * Who has sent a datagram to a published port, and may be answered: an address as the kernel gives
 * it, all bytes of it.  A porter's table decides; the library OS keeps the same one, to know where
 * an answer goes.
 *
 * A set has few places, and the one that was silent for longest makes room.  Which set an address
 * is in depends on a number that nobody outside knows.
 */
#ifndef LIMPET_PEERS_H
#define LIMPET_PEERS_H

#include "contract.h"

enum { PEER_SETS = 512, PEER_PLACES = 8 };

struct peer {
    u8 address[SOCKET_ADDRESS_SIZE]; /* the port is never 0: all zeros is nobody */
    u32 heard;                       /* when: the table's count of datagrams then */
};

struct peers {
    struct peer set[PEER_SETS][PEER_PLACES];
    u32 heard, pad;
    u64 key;
};

static inline struct peer *peer_set(struct peers *peers, const u8 *address) {
    u64 hash = peers->key ^ 0xcbf29ce484222325UL;
    for (u32 i = 0; i < SOCKET_ADDRESS_SIZE; i++)
        hash = (hash ^ address[i]) * 0x100000001b3UL;
    hash ^= hash >> 32;
    return peers->set[(hash ^ hash >> 16) % PEER_SETS];
}

static inline bool is_peer(const struct peer *peer, const u8 *address) {
    for (u32 i = 0; i < SOCKET_ADDRESS_SIZE; i++)
        if (peer->address[i] != address[i])
            return false;
    return true;
}

/* NULL: it has not been heard, or not for long; or it has no family, as a place that is empty. */
static inline struct peer *peer_known(struct peers *peers, const u8 *address) {
    if (!address[0])
        return NULL;
    struct peer *set = peer_set(peers, address);
    for (u32 i = 0; i < PEER_PLACES; i++)
        if (is_peer(&set[i], address))
            return &set[i];
    return NULL;
}

/* The place of whoever was silent for longest. */
static inline struct peer *peer_silent(struct peers *peers, const u8 *address) {
    struct peer *set = peer_set(peers, address), *found = set;
    for (u32 i = 1; i < PEER_PLACES; i++)
        if (peers->heard - set[i].heard > peers->heard - found->heard)
            found = &set[i];
    return found;
}

static inline void peer_heard(struct peers *peers, const u8 *address) {
    struct peer *peer = peer_known(peers, address);
    if (!peer)
        peer = peer_silent(peers, address);
    for (u32 i = 0; i < SOCKET_ADDRESS_SIZE; i++)
        peer->address[i] = address[i];
    peer->heard = ++peers->heard;
}

#endif
