#include "parts/pipes/pipe.h"

#define SLOTS 16UL

struct pipe *pipe_new(void) {
    struct pipe *pipe = heap_alloc(sizeof *pipe);
    if (!pipe)
        return NULL;
    pipe->slots = heap_alloc(SLOTS * sizeof *pipe->slots);
    pipe->size = SLOTS;
    if (pipe->slots)
        return pipe;
    heap_free(pipe);
    return NULL;
}

static void free_page(struct slot *slot) {
    if (slot->page)
        pages_give((u64)slot->page, 1, PAGES_LIBOS);
}

void pipe_free(struct pipe *pipe) {
    for (u64 i = 0; pipe && i < pipe->size; i++)
        free_page(&pipe->slots[i]);
    if (pipe)
        heap_free(pipe->slots);
    heap_free(pipe);
}

struct slot *slot_at(const struct pipe *pipe, u64 place) {
    return &pipe->slots[(pipe->head + place) % pipe->size];
}

u64 pipe_bytes(const struct pipe *pipe) {
    u64 total = 0;
    for (u64 i = 0; i < pipe->used; i++)
        total += slot_at(pipe, i)->length;
    return total;
}

/* -EBUSY: what is in it would not fit. */
long pipe_resize(struct pipe *pipe, u64 size) {
    if (size < pipe->used)
        return -EBUSY;
    struct slot *slots = heap_alloc(size * sizeof *slots);
    if (!slots)
        return -ENOMEM;
    for (u64 i = 0; i < pipe->size; i++) {
        if (i < size)
            slots[i] = *slot_at(pipe, i);
        else
            free_page(slot_at(pipe, i));
    }
    heap_free(pipe->slots);
    pipe->slots = slots, pipe->size = size, pipe->head = 0;
    return 0;
}

u64 pipe_take(struct pipe *pipe, u8 *to, u64 size) {
    u64 total = 0;
    while (pipe->used && total < size) {
        struct slot *slot = slot_at(pipe, 0);
        u32 piece = (u32)MIN(size - total, slot->length);
        bool packet = slot->packet;
        memcpy(to + total, slot->page + slot->offset, piece);
        total += piece;
        slot->offset += piece, slot->length -= piece;
        if (!slot->length || packet)
            pipe->head = (pipe->head + 1) % pipe->size, pipe->used--;
        if (packet)
            break;
    }
    return total;
}

/* What is less than a page goes behind the last bytes, if all of it finds room there. */
static u64 put_behind(struct pipe *pipe, const u8 *from, u64 size) {
    struct slot *last = pipe->used ? slot_at(pipe, pipe->used - 1) : NULL;
    u64 odd = size % PAGE;
    bool closed = last && (last->packet || last->lent);
    if (!odd || !last || closed || last->offset + last->length + odd > PAGE)
        return 0;
    memcpy(last->page + last->offset + last->length, from, odd);
    last->length += (u32)odd;
    return odd;
}

static struct slot *next_free(struct pipe *pipe) {
    struct slot *slot = slot_at(pipe, pipe->used);
    if (!slot->page)
        slot->page = (u8 *)pages_take(1, PAGES_LIBOS);
    return slot->page ? slot : NULL;
}

/* -ENOMEM: there is room, but no page for it. */
long pipe_put(struct pipe *pipe, const u8 *from, u64 size, bool packets) {
    u64 done = put_behind(pipe, from, size);
    while (done < size && !pipe_full(pipe)) {
        struct slot *slot = next_free(pipe);
        u64 piece = MIN(size - done, PAGE);
        if (!slot)
            return done ? (long)done : -ENOMEM;
        memcpy(slot->page, from + done, piece);
        slot->offset = 0, slot->length = (u32)piece, slot->packet = packets, slot->lent = false;
        pipe->used++;
        done += piece;
    }
    return (long)done;
}

long pipe_lend(struct pipe *pipe, const u8 *from, u32 size, u32 offset, bool packet) {
    struct slot *slot = pipe_full(pipe) ? NULL : next_free(pipe);
    if (!slot)
        return pipe_full(pipe) ? 0 : -ENOMEM;
    memcpy(slot->page + offset, from, size);
    slot->offset = offset, slot->length = size, slot->packet = packet, slot->lent = true;
    pipe->used++;
    return size;
}

void pipe_move(struct pipe *from, struct pipe *to) {
    struct slot *source = slot_at(from, 0), *sink = slot_at(to, to->used);
    u8 *page = sink->page;
    *sink = *source;
    source->page = page;
    from->head = (from->head + 1) % from->size, from->used--;
    to->used++;
}
