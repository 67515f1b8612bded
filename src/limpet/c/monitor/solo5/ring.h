/*
 * The network ring of Solo5's include/hvt_ring.h (0.11 and later), in memory of the
 * guest's: requests one way, answers the other.  The monitor serves it when the guest
 * rings, on the vCPU's own thread, so it always asks to be rung.
 */
#ifndef LIMPET_RING_H
#define LIMPET_RING_H

enum { RING_WRITE = 1, RING_READ = 2 };

struct ring_entry {
    u32 operation, handle;
    struct guest_addr data;
    u32 size, id;
    u64 reserved;
};

struct ring_commit {
    u32 id;
    s32 result;
    u32 size, reserved;
};

struct net_ring {
    u32 entries_tail, commits_head, pad_0[14]; /* a cache line that the guest writes */
    u32 entries_head, commits_tail, needs_kick, pad_1[13];
    struct ring_entry entries[RING_LENGTH];
    struct ring_commit commits[RING_LENGTH];
};

#define RING ((struct net_ring *)NET_RING)

static inline void offer_ring(struct hvt_boot_info *boot) {
    RING->needs_kick = 1;
    boot->net_ring = NET_RING;
    boot->host_features = 1;
}

#endif
