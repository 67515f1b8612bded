/*
 * Shared objects that lie in memory since the bundle was made, at the places that the plan
 * gave them, with their system calls rewritten.
 *
 * The program's own loader maps them as it would on Linux: the whole object once, which gives
 * its place, then each segment over it, which is there already.  What dlclose has unmapped is
 * made pristine when it is mapped again.  An object that is in use, or a mapping of another
 * shape, is an ordinary private mapping of the file, never executable.
 */
#include "parts/memory/placed.h"
#include "parts/memory/maps.h"
#include "core/core.h"
#include "linux.h"
#include "parts/files/node.h"

/* What has become of an object; `given` has a bit for each segment that is as in the file. */
struct state {
    u64 given;
    bool mapped, used, kept;
};

static struct state *states;

static const struct placed_object *object(u64 index) {
    return (const struct placed_object *)guest_info.placed + index;
}

static const struct placed_segment *segment(const struct placed_object *of, u64 index) {
    return (const struct placed_segment *)of->segments + index;
}

static struct state *state_of(const struct placed_object *of) {
    return &states[of - object(0)];
}

static u64 end_of(const struct placed_object *of) {
    return of->base + ALIGN_UP(of->length, PAGE);
}

/* The last object whose inode, or base, is not above `key`. */
static const struct placed_object *last(u64 key, bool by_inode) {
    u64 low = 0, high = guest_info.placed_count;
    while (low < high) {
        u64 middle = (low + high) / 2;
        if ((by_inode ? object(middle)->inode : object(middle)->base) <= key)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? object(low - 1) : NULL;
}

static const struct placed_object *around(u64 at) {
    const struct placed_object *found = last(at, false);
    return found && at < end_of(found) ? found : NULL;
}

/* The object that an open file is, unless it was written since. */
static const struct placed_object *of_file(const struct file *file) {
    const struct node *node = file && file->ops == &regular_ops ? file->object : NULL;
    if (!node || !node->packed)
        return NULL;
    const struct placed_object *found = last(node->packed->inode, true);
    return found && found->inode == node->packed->inode ? found : NULL;
}

/* As the file has it, and zeros behind that. */
static long refill(const struct placed_segment *to, struct node *node) {
    if (guest_memory)
        guest_memory->reset(to->address, to->address + to->size);
    long done = content_read(node, (void *)to->address, to->file_size, to->offset);
    u64 filled = done > 0 ? (u64)done : 0;
    memset((void *)(to->address + filled), 0, to->size - filled);
    return 0;
}

/* Until now it could only be read: what a process may ask for here is in the file's filter. */
static bool gets_rights(const struct placed_object *of) {
    for (u64 i = 0; i < of->segment_count; i++) {
        const struct placed_segment *each = segment(of, i);
        if (each->late &&
            !guest_memory->load(each->address, each->address + each->size, each->late))
            return false;
    }
    return true;
}

static long map_whole(const struct placed_object *of, struct node *node) {
    struct state *state = state_of(of);
    for (u64 i = 0; state->used && i < of->segment_count; i++)
        if (segment(of, i)->writable)
            refill(segment(of, i), node);
    if (guest_memory && !state->used && !gets_rights(of))
        return -EACCES;
    *state = (struct state){~0UL, .mapped = true, .used = true, .kept = state->kept};
    return (long)of->base;
}

/* A segment of an object over its own place: it is there, unless it was given before. */
static long map_over(const struct placed_object *of, u64 at, u64 length, u64 offset,
                     struct node *node) {
    struct state *state = state_of(of);
    for (u64 i = 0; i < of->segment_count; i++) {
        const struct placed_segment *each = segment(of, i);
        if (at != each->address || offset != each->offset || length > each->size)
            continue;
        if (guest_memory)
            guest_memory->reset(at, at + length);
        if (each->writable && (i >= 64 || !(state->given >> i & 1)))
            refill(each, node);
        if (i < 64)
            state->given &= ~(1UL << i);
        return (long)at;
    }
    return -ENOMEM;
}

/* Zeros over a part of an object: what follows a segment's bytes from the file. */
static long map_zeros(const struct placed_object *of, u64 at, u64 length) {
    for (u64 i = 0; i < of->segment_count; i++) {
        const struct placed_segment *each = segment(of, i);
        if (at < each->address || at + length > each->address + each->size)
            continue;
        if (!each->writable)
            return -ENOMEM;
        if (guest_memory)
            guest_memory->reset(at, at + length);
        memset((void *)at, 0, length);
        return (long)at;
    }
    return -ENOMEM;
}

/* The loader itself is in use from the start. */
static bool ready(void) {
    if (states)
        return true;
    states = heap_alloc(guest_info.placed_count * sizeof *states);
    const struct placed_object *loader = around(guest_info.loader);
    if (states && loader)
        *state_of(loader) = (struct state){.mapped = true, .used = true};
    return states != NULL;
}

/* glibc reserves room for an object that asks for more than pages (dl-map-segments.h), maps it
 * over the aligned part and gives the rest back: the plan keeps that much free behind it. */
static long reserve(u64 length) {
    for (long fd = 0; fd < fd_end(); fd++) {
        const struct placed_object *of = of_file(fd_get(fd));
        if (!of || of->alignment <= PAGE || state_of(of)->mapped)
            continue;
        u64 room = MAX(of->length, of->alignment) + of->alignment;
        if (length == room || length == ALIGN_UP(room, PAGE))
            return (long)of->base;
    }
    return -ENOSYS;
}

static long map_inside(const struct placed_object *there, u64 at, u64 length,
                       const struct file *file, u64 offset) {
    length = ALIGN_UP(length, PAGE);
    if (length > end_of(there) - at)
        return -ENOMEM;
    if (!file)
        return map_zeros(there, at, length);
    if (of_file(file) != there)
        return -ENOMEM;
    if (at == there->base && at + length == end_of(there) && !state_of(there)->mapped)
        return map_whole(there, file->object);
    return map_over(there, at, length, offset, file->object);
}

static long placed_map(u64 at, u64 length, bool fixed, const struct file *file, u64 offset) {
    if (!ready())
        return -ENOMEM;
    if (fixed) {
        const struct placed_object *there = around(at);
        return there ? map_inside(there, at, length, file, offset) : -ENOSYS;
    }
    if (!file)
        return reserve(length);
    const struct placed_object *of = of_file(file);
    if (!of || state_of(of)->mapped || offset != segment(of, 0)->offset)
        return -ENOSYS;
    /* The loaders of glibc and musl ask for exactly the object: who reads the file does not. */
    if (length != of->length && length != ALIGN_UP(of->length, PAGE))
        return -ENOSYS;
    return map_whole(of, file->object);
}

static bool placed_unmap(u64 at, u64 size) {
    if (!ready())
        return false;
    for (u64 i = 0; i < guest_info.placed_count; i++)
        if (at <= object(i)->base && size >= end_of(object(i)) - at)
            state_of(object(i))->mapped = false;
    return at >= object(0)->base && at < end_of(object(guest_info.placed_count - 1));
}

static bool is_loaded(const struct placed_object *of) {
    bool late = false;
    for (u64 i = 0; i < of->segment_count; i++)
        late |= segment(of, i)->late != 0;
    return !late || (states && state_of(of)->used);
}

static bool placed_is_loaded(u64 at) {
    const struct placed_object *of = around(at);
    return !of || is_loaded(of);
}

/* Nothing is noted of it: what is brought has that, too. */
static void placed_load(u64 at) {
    const struct placed_object *of = around(at);
    if (of && guest_memory)
        gets_rights(of);
}

static _Noreturn RARE void code_refused(void) {
    end_unstarted("is not allowed by this host to run code of its shared objects: in a unit of "
                  "systemd leave out MemoryDenyWriteExecute=");
}

/* An object that was there at a moment, and that what goes on from it has not used until now: its
 * code gets its rights as a whole, its data page by page, which a virtual machine's host lets be
 * written as a whole. */
static bool placed_wake(u64 at, bool runs) {
    const struct placed_object *of = around(at);
    for (u64 i = 0; of && states && state_of(of)->used && i < of->segment_count; i++) {
        const struct placed_segment *each = segment(of, i);
        if (at < each->address || at >= each->address + each->size)
            continue;
        if (!each->late || runs == each->writable)
            return false;
        bool whole = runs || host_load;
        u64 low = whole ? each->address : ALIGN_DOWN(at, PAGE);
        u64 high = whole ? each->address + each->size : low + PAGE;
        bool done = guest_memory->load(low, high, each->late);
        if (runs && !done)
            code_refused();
        return done;
    }
    return false;
}

/* Too many of them for a piece of memory each: their code is only read until now. */
static void placed_go_on(void) {
    for (u64 i = 0; states && i < guest_info.placed_count; i++)
        if (state_of(object(i))->used && !gets_rights(object(i)))
            code_refused();
}

/* Objects that are loaded now stay so when a guest goes back; or those that were not then can only
 * be read again. */
static void placed_keep(bool now) {
    for (u64 i = 0; states && i < guest_info.placed_count; i++) {
        const struct placed_object *of = object(i);
        struct state *state = state_of(of);
        for (u64 j = 0; !now && state->used && !state->kept && j < of->segment_count; j++)
            if (segment(of, j)->late)
                guest_memory->load(segment(of, j)->address,
                                   segment(of, j)->address + segment(of, j)->size, PROT_READ);
        state->kept |= now && state->used;
    }
}

static void placed_refused(const struct file *file) {
    static LARGE char room[PATH_MAX];
    const struct node *node = file && file->ops == &regular_ops ? file->object : NULL;
    const char *path = node ? path_of(node, room) : NULL;
    if (!path)
        return;
    say_name();
    say(" loads ");
    say(path);
    say(of_file(file)
            ? " while it is loaded: it has one place"
            : ", which has no place in its bundle: pack it with --include, as it is there");
    say_backend();
}

const struct placed_ops placed_ops = {.map = placed_map,
                                      .unmap = placed_unmap,
                                      .is_loaded = placed_is_loaded,
                                      .load = placed_load,
                                      .wake = placed_wake,
                                      .go_on = placed_go_on,
                                      .keep = placed_keep,
                                      .refused = placed_refused};
