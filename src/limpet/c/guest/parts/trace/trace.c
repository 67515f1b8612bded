/*
 * Records of what the program asks for, for `limpet trace` (contract: struct trace_record).
 *
 * They are gathered here, and written before each hypercall, which may wait or end the guest, and
 * where there is no more room.  Where nobody takes them this is off for good with the first of
 * them.
 */
#include "parts/trace/trace.h"
#include "core/thread.h"
#include "linux.h"
#include "x86_64/machine.h"

enum {
    ROOM = 8192,
    RECORD_MOST = 3072, /* of a record with all of its pieces */
    VECTORS_MOST = 4,
    VECTOR_PIECE = 16, /* a piece's argument is this, and the number of the vector */
    SETTLING = 1000000 /* nanoseconds in which the rate of the TSC is found out */
};

/* A call that goes on, on the stack of its thread. */
struct going {
    long number;
    const u64 *arguments;
    const struct thread *thread;
    u64 since;
    bool told;
};

static u8 records[ROOM] LARGE __attribute__((aligned(8)));
static struct trace block;
static u64 used, told_time, second; /* ticks of the last record of the time, and in a second */
static bool off, busy, begun;
static struct going *latest;

static struct trace_record *add(u32 kind, long number, u64 since) {
    struct trace_record *record = (struct trace_record *)(records + used);
    *record = (struct trace_record){.size = sizeof *record,
                                    .kind = kind,
                                    .thread = current->id,
                                    .number = (s32)number,
                                    .ticks = since,
                                    .took = ticks() - since};
    used += sizeof *record;
    return record;
}

static void write_out(void) {
    for (u64 done = 0; done < used && !off;) {
        block = (struct trace){.address = (u64)records + done, .length = used - done};
        hypercall_trace(&block);
        if (block.result > 0)
            done += (u64)block.result;
        else if (block.result != -EINTR)
            off = true;
    }
    used = 0;
}

/* Both clocks beside the TSC; `deadline` as of the hypercall. */
static u64 add_time(s64 deadline) {
    struct wait now = {.deadline = deadline};
    hypercall_wait(&now);
    told_time = ticks();
    struct trace_record *record = add(TRACE_TIME, 0, told_time);
    record->arguments[0] = now.monotonic, record->arguments[1] = now.realtime;
    record->arguments[2] = boot_info.tsc_khz, record->arguments[3] = boot_info.backend;
    return now.monotonic;
}

/* A process is not told the rate of the TSC: it takes a millisecond to find it out. */
static RARE void begin(void) {
    begun = busy = true;
    u64 before = add_time(0), first = told_time;
    second = boot_info.tsc_khz * 1000;
    if (!second) {
        add_time((s64)before + SETTLING);
        second = (told_time - first) * 1000;
    }
    write_out();
    busy = false;
}

static void flush(void) {
    busy = true;
    if (latest && latest->thread == current && !latest->told) {
        struct trace_record *record = add(TRACE_BEGUN, latest->number, latest->since);
        memcpy(record->arguments, latest->arguments, sizeof record->arguments);
        latest->told = true;
    }
    if (ticks() - told_time > second)
        add_time(0);
    if (used)
        write_out();
    busy = false;
}

/* The program may have given what is no memory: then the record ends before this piece, and
 * the call as it would have (thread->settled). */
static void add_piece(struct trace_record *record, u32 argument, u64 from, u64 length) {
    struct trace_piece *piece = (struct trace_piece *)(records + used);
    if (!from || !length)
        return;
    memcpy(piece + 1, (const void *)from, length);
    *piece = (struct trace_piece){argument, (u32)length};
    used += sizeof *piece + ALIGN_UP(length, 8);
    record->size = (u32)((u64)records + used - (u64)record);
}

static u64 text_length(const char *from) {
    u64 length = 0;
    while (length < TRACE_TEXT_MOST && from[length])
        length++;
    return MIN(length + 1, TRACE_TEXT_MOST);
}

static void add_vectors(struct trace_record *record, const struct trace_shape *shape) {
    const struct linux_iovec *vectors =
        (const struct linux_iovec *)record->arguments[shape->argument];
    u64 count = MIN(record->arguments[shape->argument + 1], VECTORS_MOST);
    u64 left = (u64)record->result;
    add_piece(record, shape->argument, (u64)vectors, count * sizeof *vectors);
    for (u64 i = 0; vectors && i < count && left; i++) {
        u64 length = MIN(vectors[i].length, left);
        add_piece(record, VECTOR_PIECE + (u32)i, vectors[i].base, MIN(length, TRACE_BYTES_MOST));
        left -= length;
    }
}

static void add_shape(struct trace_record *record, const struct trace_shape *shape) {
    u64 from = record->arguments[shape->argument], count = 1;
    if (!from || (shape->out && record->result < 0))
        return;
    if (shape->length == TRACE_TEXT) {
        add_piece(record, shape->argument, from, text_length((const char *)from));
        return;
    }
    if (shape->length == TRACE_VECTOR) {
        if (record->result > 0)
            add_vectors(record, shape);
        return;
    }
    if (shape->length == TRACE_BY_RESULT)
        count = (u64)MAX(record->result, 0);
    else if (shape->length < TRACE_BY_RESULT)
        count = record->arguments[shape->length];
    add_piece(record, shape->argument, from,
              MIN(MIN(count, TRACE_BYTES_MOST) * shape->size, TRACE_BYTES_MOST));
}

static void add_call(const struct going *call, long result) {
    struct trace_record *record = add(TRACE_CALL, call->number, call->since);
    memcpy(record->arguments, call->arguments, sizeof record->arguments);
    record->result = result;
    if (!current->call || current->settled || result == -EFAULT || result == -ERESTARTSYS)
        return;
    current->settled = &result;
    busy = true; /* until the next call, where this faults: no record is begun within another */
    for (const struct trace_shape *shape = trace_shapes(call->number);
         shape && shape->length != TRACE_END; shape++)
        add_shape(record, shape);
    current->settled = NULL;
    busy = false;
}

/* Where the pieces of a record end, or before there is one. */
void trace_faults(const struct regs *regs, long result) {
    const long given[6] = {REGS_ARGUMENTS(regs)};
    struct going call = {.number = regs_call(regs), .arguments = (const u64 *)given};
    call.since = latest && latest->thread == current ? latest->since : ticks();
    latest = NULL;
    if (off || busy)
        return;
    if (used > ROOM - RECORD_MOST)
        flush();
    add_call(&call, result);
}

long trace_call(trace_serve serve, long number, const u64 *arguments) {
    struct going call = {number, arguments, current, 0, false};
    busy = false;
    if (!begun)
        begin();
    call.since = ticks();
    latest = off ? NULL : &call;
    long result = serve(number, (long)arguments[0], (long)arguments[1], (long)arguments[2],
                        (long)arguments[3], (long)arguments[4], (long)arguments[5]);
    latest = NULL;
    if (off)
        return result;
    if (used > ROOM - RECORD_MOST)
        flush();
    add_call(&call, result);
    return result;
}

void trace_signal(const struct linux_siginfo *info) {
    if (!begun)
        begin();
    if (off || busy)
        return;
    if (used > ROOM - RECORD_MOST)
        flush();
    struct trace_record *record = add(TRACE_SIGNAL, info->signal, ticks());
    record->result = info->code;
    record->arguments[0] = info->address, record->arguments[1] = info->value;
}

void trace_leaves(void) {
    if (!off && !busy && begun)
        flush();
}

void trace_left(u32 number, u64 since, const void *from, u64 size) {
    if (off || busy || !begun)
        return;
    if (used > ROOM - RECORD_MOST)
        flush();
    struct trace_record *record = add(TRACE_HYPERCALL, (long)number, since);
    memcpy(records + used, from, size);
    used += ALIGN_UP(size, 8);
    record->size += (u32)ALIGN_UP(size, 8);
}

void trace_ends(u32 number, const void *from, u64 size) {
    trace_leaves();
    trace_left(number, ticks(), from, size);
    trace_leaves();
}
