/*
 * Random bytes: ChaCha20 (RFC 8439) with fast key erasure, as in Bernstein's
 * "Fast-key-erasure random-number generators": every refill replaces the key, so what
 * was given out cannot be computed from what is in memory later.
 */
#include "libos.h"
#include "linux.h"
#include "parts/snapshot/snapshot.h"

#define BLOCK 64
#define BLOCKS 8
#define RESEED_AFTER (1UL << 20)

static u32 key[8];
static LARGE u8 pool[BLOCK * BLOCKS];
static u64 left, since_seed;
static bool seeded;

static u32 rotate(u32 x, int by) {
    return x << by | x >> (32 - by);
}

static void quarter(u32 *s, int a, int b, int c, int d) {
    s[a] += s[b], s[d] = rotate(s[d] ^ s[a], 16);
    s[c] += s[d], s[b] = rotate(s[b] ^ s[c], 12);
    s[a] += s[b], s[d] = rotate(s[d] ^ s[a], 8);
    s[c] += s[d], s[b] = rotate(s[b] ^ s[c], 7);
}

void chacha20_block(const u32 secret[8], u32 counter, const u32 nonce[3], u8 out[64]) {
    u32 start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    u32 state[16];
    memcpy(start + 4, secret, 32);
    start[12] = counter;
    memcpy(start + 13, nonce, 12);
    memcpy(state, start, sizeof state);
    for (int round = 0; round < 10; round++) {
        quarter(state, 0, 4, 8, 12), quarter(state, 1, 5, 9, 13);
        quarter(state, 2, 6, 10, 14), quarter(state, 3, 7, 11, 15);
        quarter(state, 0, 5, 10, 15), quarter(state, 1, 6, 11, 12);
        quarter(state, 2, 7, 8, 13), quarter(state, 3, 4, 9, 14);
    }
    for (int i = 0; i < 16; i++)
        state[i] += start[i];
    memcpy(out, state, 64);
}

static void mix(const u8 bytes[SEED_SIZE]) {
    for (u64 i = 0; i < 8; i++) {
        u32 word;
        memcpy(&word, bytes + 4 * i, 4);
        key[i] ^= word;
    }
    seeded = true;
    since_seed = 0;
}

static void seed(void) {
    struct entropy block;
    hypercall_entropy(&block);
    mix(block.bytes);
    memset(&block, 0, sizeof block);
}

u64 entropy_renewed;

void entropy_renew(void) {
    entropy_renewed++;
    seeded = false;
    left = 0;
}

void entropy_rewound(const struct rewind *told) {
    entropy_renew();
    mix(told->seed);
}

/* At the end of the pool: a key, and behind it as many bytes as are wanted, if there is room. */
static void refill(u64 wanted) {
    static const u32 nonce[3];
    u64 size = ALIGN_UP(MIN(wanted, sizeof pool - sizeof key) + sizeof key, BLOCK);
    u8 *low = pool + sizeof pool - size;
    if (!seeded || since_seed >= RESEED_AFTER)
        seed();
    for (u32 i = 0; i < size / BLOCK; i++)
        chacha20_block(key, i, nonce, low + i * BLOCK);
    memcpy(key, low, sizeof key);
    memset(low, 0, sizeof key);
    left = size - sizeof key;
    since_seed += left;
}

void entropy_fill(void *to, u64 n) {
    u8 *out = to;
    while (n) {
        if (!left)
            refill(n);
        u64 piece = MIN(n, left);
        u8 *from = pool + sizeof pool - left;
        memcpy(out, from, piece);
        memset(from, 0, piece);
        out += piece, n -= piece, left -= piece;
    }
}

enum { GRND_NONBLOCK = 1, GRND_RANDOM = 2, GRND_INSECURE = 4 };

long sys_getrandom(long to, long size, long flags) {
    if (flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE))
        return -EINVAL;
    if ((flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
        return -EINVAL;
    u64 wanted = MIN((u64)size, 0x1ffffffUL);
    entropy_fill((void *)to, wanted);
    return (long)wanted;
}
