/* Memory and strings: the four functions a compiler may call by itself, and a few more. */
#include "libos.h"

/* Of few bytes, which most copies are of, the processor's own loop takes longer to begin. */
#define FEW 64

typedef u64 __attribute__((aligned(1), may_alias)) any_word;

/* A compiler takes no loop for memcpy that it cannot look into. */
static void copy_few(u8 *to, const u8 *from, size_t n) {
    for (; n >= sizeof(u64); n -= sizeof(u64), to += sizeof(u64), from += sizeof(u64)) {
        u64 word = *(const any_word *)from;
        __asm__ volatile("" : "+r"(word));
        *(any_word *)to = word;
    }
    for (; n; n--, to++, from++) {
        u8 byte = *from;
        __asm__ volatile("" : "+r"(byte));
        *to = byte;
    }
}

void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    void *result = to;
    if (n < FEW)
        copy_few(to, from, n);
    else
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
    return result;
}

void *memmove(void *to, const void *from, size_t n) {
    if ((u64)to - (u64)from >= n)
        return memcpy(to, from, n);
    u8 *last_to = (u8 *)to + n - 1;
    const u8 *last_from = (const u8 *)from + n - 1;
    __asm__ volatile("std\nrep movsb\ncld" : "+D"(last_to), "+S"(last_from), "+c"(n)::"memory");
    return to;
}

/* Four words at once: objects are cleared with it. */
void *memset(void *to, int byte, size_t n) {
    void *result = to;
    u64 word = (u8)byte * 0x0101010101010101UL;
    for (; n >= 4 * sizeof word && n < 4 * FEW; n -= 4 * sizeof word) {
        __asm__ volatile("" : "+r"(word));
        any_word *words = to;
        words[0] = words[1] = words[2] = words[3] = word;
        to = words + 4;
    }
    for (; n >= sizeof word && n < 4 * FEW; n -= sizeof word, to = (u8 *)to + sizeof word) {
        __asm__ volatile("" : "+r"(word));
        *(any_word *)to = word;
    }
    if (n)
        __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
    return result;
}

int memcmp(const void *a, const void *b, size_t n) {
    const u8 *x = a, *y = b;
    for (; n; n--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

size_t strlen(const char *s) {
    const char *end = s;
    while (*end)
        end++;
    return (size_t)(end - s);
}

int strcmp(const char *a, const char *b) {
    while (*a && *a == *b)
        a++, b++;
    return (u8)*a - (u8)*b;
}
