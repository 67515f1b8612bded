/* The random generator, seeded by the test. */
#include "native.h"
#include "core/string.c"
#include "parts/entropy/entropy.c"

static u8 seeds;

/* Seed n is 48 bytes of n. */
void hypercall_entropy(struct entropy *block) {
    memset(block->bytes, ++seeds, sizeof block->bytes);
}

EXPORT(void, start, void) {
    memset(key, 0, sizeof key);
    memset(pool, 0, sizeof pool);
    left = since_seed = 0;
    seeded = false, seeds = 0;
}

EXPORT(void, block, const u32 *secret, u32 counter, const u32 *nonce, u8 *out) {
    chacha20_block(secret, counter, nonce, out);
}

EXPORT(long, get_random, void *to, u64 size, long flags) {
    return sys_getrandom((long)to, (long)size, flags);
}

/* All that is left in memory, key first. */
EXPORT(u64, state, u8 *to) {
    memcpy(to, key, sizeof key);
    memcpy(to + sizeof key, pool, sizeof pool);
    return sizeof key + sizeof pool;
}

EXPORT(int, seeded_times, void) {
    return seeds;
}
