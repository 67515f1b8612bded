/* Records of what the program asks for: nothing of this in a bundle without --feature trace. */
#ifndef LIMPET_TRACE_H
#define LIMPET_TRACE_H

#include "core/core.h"

/* How long a piece of memory is: `size` times what an argument says, or one of these. */
enum {
    TRACE_BY_RESULT = 6, /* times the result */
    TRACE_ONCE = 7,
    TRACE_TEXT = 8,   /* up to a zero byte */
    TRACE_VECTOR = 9, /* struct iovec, as many as the next argument says, and what they name */
    TRACE_END = 10
};

/* A piece of memory that an argument names.  Generated, from Python's table of arguments. */
struct trace_shape {
    u8 argument, length;
    u8 out; /* there is nothing in it where the call failed */
    u8 size;
};
const struct trace_shape *trace_shapes(long number);

/* trace.c: a system call and its record; what gates do before and behind a hypercall. */
typedef long (*trace_serve)(long number, long a, long b, long c, long d, long e, long f);
long trace_call(trace_serve serve, long number, const u64 *arguments);
void trace_faults(const struct regs *call, long result);
void trace_signal(const struct linux_siginfo *info);
void trace_leaves(void);
void trace_left(u32 number, u64 since, const void *block, u64 size);
void trace_ends(u32 number, const void *block, u64 size); /* of the hypercall that ends it all */

#endif
