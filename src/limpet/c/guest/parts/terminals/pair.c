/* The two ends of a pseudo-terminal as open files. */
#include "parts/terminals/terminals.h"
#include "parts/files/node.h"

#define WRITES_MOST 8 /* bytes that one is written as */
#define TENTH (NANOSECONDS / 10)

static struct terminal_pair *pair_of(const struct file *file) {
    return ((const struct side *)file->object)->pair;
}

void terminal_changed(struct terminal_pair *pair) {
    for (struct side *each = pair->sides; each; each = each->next)
        file_changed(each->file, ANYTHING);
}

static long wait_until(const struct file *file, s64 deadline) {
    const struct waiting waits = {.deadline = deadline,
                                  .what = "the other end of a terminal",
                                  .on = file,
                                  .restarts = deadline == FOREVER};
    return file->flags & O_NONBLOCK ? -EAGAIN : park(&waits);
}

static long master_read(struct file *file, void *to, u64 size) {
    struct terminal_pair *pair = pair_of(file);
    u8 *bytes = to;
    long error = 0;
    while (size && pair->out_read == pair->out_written && !error)
        error = pair->closed ? -EIO : wait_until(file, FOREVER);
    if (error)
        return error;
    u64 have = MIN(size, pair->out_written - pair->out_read);
    for (u64 i = 0; i < have; i++)
        bytes[i] = pair->output[(pair->out_read + i) % OUTPUT_ROOM];
    pair->out_read += have;
    terminal_changed(pair);
    return (long)have;
}

/* Bytes until they are all taken; `take` says 0 where there is no room, or why there never is. */
static long write_bytes(struct file *file, const void *from, u64 size,
                        long (*take)(struct terminal_pair *pair, u8 byte)) {
    struct terminal_pair *pair = pair_of(file);
    const volatile u8 *bytes = from;
    long error = 0;
    u64 done = 0;
    while (done < size && !error) {
        long taken = take(pair, bytes[done]);
        if (taken < 0)
            return taken;
        done += (u64)taken;
        if (taken)
            continue;
        terminal_changed(pair);
        error = wait_until(file, FOREVER);
    }
    terminal_changed(pair);
    return done ? (long)done : error;
}

static long take_key(struct terminal_pair *pair, u8 byte) {
    return input_take(pair, byte);
}

static long master_write(struct file *file, const void *from, u64 size) {
    return write_bytes(file, from, size, take_key);
}

static u32 master_poll(struct file *file) {
    const struct terminal_pair *pair = pair_of(file);
    return (pair->out_read != pair->out_written ? (u32)POLL_READABLE : 0U) |
           (pair->closed ? (u32)POLLHUP : 0U) | (u32)POLL_WRITABLE;
}

/* A line, or what fits of it. */
static u64 take_line(struct terminal_pair *pair, u8 *to, u64 size) {
    u64 done = 0, read = pair->read;
    for (u16 last = 0; done < size && read < pair->lines && !(last & LINE_END); read++) {
        last = pair->input[read % INPUT_ROOM];
        if (last & FILE_END) {
            read++;
            break;
        }
        to[done++] = (u8)last;
    }
    pair->read = read;
    return done;
}

static u64 take_characters(struct terminal_pair *pair, u8 *to, u64 size) {
    u64 have = MIN(size, pair->written - pair->read);
    for (u64 i = 0; i < have; i++)
        to[i] = (u8)pair->input[(pair->read + i) % INPUT_ROOM];
    pair->read += have;
    pair->lines = MAX(pair->lines, pair->read);
    return have;
}

/* Who waits when it goes is told so; who comes later finds an end. */
static long wait_for_master(const struct file *file, s64 deadline) {
    long error = wait_until(file, deadline);
    return pair_of(file)->hung_up ? -EIO : error;
}

static s64 deadline_in(u64 tenths) {
    return tenths && guest_time ? deadline_after(guest_time->monotonic(), (s64)(tenths * TENTH))
                                : FOREVER;
}

/* VMIN of them, or what came until VTIME had passed since the last, or since the call. */
static long read_characters(struct file *file, u8 *to, u64 size) {
    struct terminal_pair *pair = pair_of(file);
    u64 least = MIN(pair->modes.keys[VMIN], size), time = pair->modes.keys[VTIME], done = 0;
    s64 deadline = least ? FOREVER : deadline_in(time);
    long error = 0;
    while (!error && !mode(pair, ICANON)) {
        u64 more = take_characters(pair, to + done, size - done);
        done += more;
        if (done >= MAX(least, 1UL) || (!least && !time))
            break;
        if (more && least)
            deadline = deadline_in(time);
        error = wait_for_master(file, deadline);
    }
    terminal_changed(pair);
    return done || error == -ETIMEDOUT ? (long)done : error;
}

static long slave_read(struct file *file, void *to, u64 size) {
    struct terminal_pair *pair = pair_of(file);
    long error = 0;
    if (pair->hung_up || !size)
        return 0;
    if (!mode(pair, ICANON))
        return read_characters(file, to, size);
    while (!input_ready(pair) && !error)
        error = wait_for_master(file, FOREVER);
    if (error)
        return error;
    long done = (long)(mode(pair, ICANON) ? take_line : take_characters)(pair, to, size);
    terminal_changed(pair);
    return done;
}

static long take_output(struct terminal_pair *pair, u8 byte) {
    if (pair->hung_up)
        return -EIO;
    if (pair->stopped || output_room(pair) < WRITES_MOST)
        return 0;
    output_processed(pair, byte);
    return 1;
}

static long slave_write(struct file *file, const void *from, u64 size) {
    return write_bytes(file, from, size, take_output);
}

static u32 slave_poll(struct file *file) {
    const struct terminal_pair *pair = pair_of(file);
    const u8 *keys = pair->modes.keys;
    u64 least = mode(pair, ICANON) || keys[VTIME] || !keys[VMIN] ? 1 : keys[VMIN];
    if (pair->hung_up)
        return POLL_READABLE | POLL_WRITABLE | POLLERR | POLLHUP;
    return (input_ready(pair) >= least ? (u32)POLL_READABLE : 0U) |
           (!pair->stopped && output_room(pair) > OUTPUT_ROOM - 256 ? (u32)POLL_WRITABLE : 0U);
}

static long terminal_stat(struct file *file, struct linux_stat *to) {
    return node_stat(file->named, to);
}

const struct file_ops terminal_master_ops = {.read = master_read,
                                             .write = master_write,
                                             .stat = terminal_stat,
                                             .ioctl = terminal_ioctl,
                                             .poll = master_poll,
                                             .release = terminal_release};
const struct file_ops terminal_slave_ops = {.read = slave_read,
                                            .write = slave_write,
                                            .stat = terminal_stat,
                                            .ioctl = terminal_ioctl,
                                            .poll = slave_poll,
                                            .release = terminal_release};
