/*
 * Addresses: which are nobody's business, however they are spelled.
 *
 * A name may lead to none of these, and a network of the policy only where it lies within: who
 * writes 10.0.0.0/8 wants private addresses, who writes 0.0.0.0/0 does not.
 */
#include "broker/broker.h"

#define V4(a, b, c, d) {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}

struct refused_block {
    u8 net[16];
    u8 prefix;
    u8 never;    /* no rule can allow it */
    u8 embedded; /* where a version 4 address is in it, which counts as well; 0: none */
    char why[64];
};

/* The first that fits counts. */
static const struct refused_block refused_blocks[] = {
    {V4(0, 0, 0, 0), 104, 1, 0, "an address of no host"},
    {V4(127, 0, 0, 0), 104, 0, 0, "the host's loopback"},
    {V4(169, 254, 0, 0), 112, 0, 0, "a link-local address, as of metadata services"},
    {V4(168, 63, 129, 16), 128, 0, 0, "an address of a metadata service"},
    {V4(10, 0, 0, 0), 104, 0, 0, "a private address"},
    {V4(172, 16, 0, 0), 108, 0, 0, "a private address"},
    {V4(192, 168, 0, 0), 112, 0, 0, "a private address"},
    {V4(100, 64, 0, 0), 106, 0, 0, "a private address"},
    {V4(192, 0, 0, 0), 120, 0, 0, "a private address"},
    {V4(198, 18, 0, 0), 111, 0, 0, "a private address"},
    {V4(224, 0, 0, 0), 100, 1, 0, "a multicast address"},
    {V4(240, 0, 0, 0), 100, 1, 0, "a broadcast or reserved address"},
    {V4(0, 0, 0, 0), 96, 0, 12, ""},
    {{[15] = 1}, 128, 0, 0, "the host's loopback"},
    {{0}, 128, 1, 0, "an address of no host"},
    {{0}, 96, 1, 0, "an IPv4 address in other words"},
    {{0, 0x64, 0xff, 0x9b, 0, 1}, 48, 0, 0, "a private address (NAT64)"},
    {{0, 0x64, 0xff, 0x9b}, 96, 0, 12, ""},
    {{0x20, 0x02}, 16, 0, 2, ""},
    {{0x20, 0x01}, 32, 1, 0, "an IPv4 address in other words (Teredo)"},
    {{0xfe, 0x80}, 10, 1, 0, "a link-local address, as of metadata services"},
    {{0xfe, 0xc0}, 10, 0, 0, "a private address"},
    {{0xfc}, 7, 0, 0, "a private address"},
    {{0xff}, 8, 1, 0, "a multicast address"},
};

static bool is_in(const u8 *address, const u8 *net, u32 prefix) {
    u32 whole = prefix / 8, rest = prefix % 8;
    if (!same_bytes(address, net, whole))
        return false;
    return !rest || !((address[whole] ^ net[whole]) >> (8 - rest));
}

static bool is_v4(const struct broker_address *address) {
    static const u8 mapped[12] = {[10] = 0xff, [11] = 0xff};
    return same_bytes(address->bytes, mapped, sizeof mapped);
}

static struct broker_address of_v4(const u8 *bytes) {
    struct broker_address address = {V4(bytes[0], bytes[1], bytes[2], bytes[3])};
    return address;
}

/* The interface identifiers that ISATAP makes have a version 4 address too. */
static bool is_isatap(const u8 *bytes) {
    return !(bytes[8] & ~2U) && !bytes[9] && bytes[10] == 0x5e && bytes[11] == 0xfe;
}

static const struct refused_block *block_of_v4(const u8 *bytes) {
    const struct broker_address inner = of_v4(bytes);
    const struct refused_block *block = refused_blocks;
    while (!is_in(inner.bytes, block->net, block->prefix))
        block++; /* every version 4 address is in one */
    return block->embedded ? NULL : block;
}

/* The block that `address` is refused for; NULL: none. */
static const struct refused_block *refused_block(const struct broker_address *address) {
    const u8 *bytes = address->bytes;
    const u64 count = sizeof refused_blocks / sizeof refused_blocks[0];
    for (u64 i = 0; i < count; i++) {
        const struct refused_block *block = &refused_blocks[i];
        if (!is_in(bytes, block->net, block->prefix))
            continue;
        if (!block->embedded)
            return block;
        return is_v4(address) ? NULL : block_of_v4(bytes + block->embedded);
    }
    return is_isatap(bytes) ? block_of_v4(bytes + 12) : NULL;
}

/* Whether the network of a rule was written for what is in that block: it lies within. */
static bool means_block(const struct broker_rule *rule, const struct refused_block *block) {
    return !block->never && rule->prefix >= block->prefix &&
           is_in(rule->net, block->net, block->prefix);
}
