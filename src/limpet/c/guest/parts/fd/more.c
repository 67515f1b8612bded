/* More descriptors than are usual: for programs that raise their limit, and use it. */
#include "parts/fd/fd.h"

/* Twice as large each time, so that it is seldom copied.  The first one is not on the heap. */
long fd_larger_table(struct file ***table, u8 **close_on_exec, u32 wanted) {
    u64 before = (u64)fd_end(), count = before;
    while (count < wanted)
        count *= 2;
    struct file **files = heap_alloc(count * (sizeof *files + 1));
    if (!files)
        return -ENOMEM;
    u8 *on_exec = (u8 *)(files + count);
    memcpy(files, *table, before * sizeof *files);
    memcpy(on_exec, *close_on_exec, before);
    if (fd_more)
        heap_free(*table);
    *table = files, *close_on_exec = on_exec;
    fd_more = (u32)(count - FD_USUAL);
    return 0;
}
