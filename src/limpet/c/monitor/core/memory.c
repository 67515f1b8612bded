/* Guest memory that the file does not hold. */
#include "bytes.h"

static void map_memory(u64 low, u64 high) {
    long got = host6(NR_MMAP, (long)low, (long)(high - low), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (got != (long)low)
        die(EXIT_CANNOT_START, "limpet: the host has no room for the guest's memory: "
                               "build with a smaller --memory, or raise ulimit -v\n");
}
