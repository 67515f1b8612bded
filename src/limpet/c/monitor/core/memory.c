/* Guest memory that the file does not hold, and what the compiler may call by itself. */
#include "core/monitor.h"

static void map_memory(u64 low, u64 high) {
    long got = host6(NR_MMAP, (long)low, (long)(high - low), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (got != (long)low)
        die(EXIT_CANNOT_START, "limpet: the host has no room for the guest's memory: "
                               "build with a smaller --memory, or raise ulimit -v\n");
}

void *memcpy(void *to, const void *from, size_t size);
void *memcpy(void *to, const void *from, size_t size) {
    void *result = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size)::"memory");
    return result;
}

void *memset(void *to, int byte, size_t size);
void *memset(void *to, int byte, size_t size) {
    void *result = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(byte) : "memory");
    return result;
}
