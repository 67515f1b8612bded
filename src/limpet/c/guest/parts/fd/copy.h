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

/* Read there, without a move of the position unless it is a stream; the move; written. */
long copy_take(const struct side *in, void *buffer, u64 size);
void copy_move(const struct side *side, long by);
long copy_put(const struct side *out, const void *buffer, u64 size);

#endif
