/* One end of a copy between open files. */
#ifndef LIMPET_COPY_H
#define LIMPET_COPY_H

#include "parts/fd/fd.h"

struct side {
    struct file *file;
    s64 *at;  /* NULL: the file's own position, or a stream */
    u32 kind; /* S_IF* */
    u64 device;
};

struct side copy_side(struct file *file, s64 *at);
bool copy_has_source(const struct side *in); /* splice_read, in Linux's words */
bool copy_has_sink(const struct side *out);  /* splice_write */
s64 copy_position(const struct side *side);
long copy_check_range(s64 at, u64 size); /* EINVAL beyond the end of what can be */

long copy_put(const struct side *out, const void *buffer, u64 size);

/* Up to `size` bytes, through a buffer; both positions move by what got there. */
long copy_between(const struct side *in, const struct side *out, u64 size);

#endif
