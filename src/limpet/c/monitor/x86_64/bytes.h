/* What the compiler may call by itself. */
#ifndef LIMPET_BYTES_H
#define LIMPET_BYTES_H

#include "core/monitor.h"

/* The one instruction by which monitors copy much. */
static inline void copy_bytes(void *to, const void *from, size_t size) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size)::"memory");
}

void *memcpy(void *to, const void *from, size_t size);
void *memcpy(void *to, const void *from, size_t size) {
    copy_bytes(to, from, size);
    return to;
}

void *memset(void *to, int byte, size_t size);
void *memset(void *to, int byte, size_t size) {
    void *result = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(byte) : "memory");
    return result;
}

#endif
