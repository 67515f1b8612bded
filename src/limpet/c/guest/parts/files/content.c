/*
 * What is in a file.  Packed bytes are read in place and copied at the first write.
 * Up to 64 KiB lie in one buffer that doubles; beyond that in 64 KiB chunks, where a
 * missing one reads as zeros.  What is mapped shared lies in extents (extents.c) instead.
 */
#include "parts/files/node.h"
#include "parts/memory/maps.h"

#define CHUNK (64UL << 10)
#define CHUNK_PAGES (CHUNK / PAGE)
#define LARGEST (1UL << 40)

static bool is_packed(const struct node *node) {
    return node->packed && !is_directory(node);
}

static void read_chunks(const struct node *node, u8 *to, u64 size, u64 at) {
    while (size) {
        u64 index = at / CHUNK, inside = at % CHUNK, piece = MIN(size, CHUNK - inside);
        const u8 *chunk = index < node->chunk_count ? node->chunks[index] : NULL;
        if (chunk)
            memcpy(to, chunk + inside, piece);
        else
            memset(to, 0, piece);
        to += piece, at += piece, size -= piece;
    }
}

/* Bytes that no extent has. */
static void read_held(const struct node *node, u8 *to, u64 size, u64 at) {
    if (is_packed(node)) {
        memcpy(to, packed_bytes(node) + at, size);
    } else if (node->chunks) {
        read_chunks(node, to, size, at);
    } else {
        u64 held = at < node->capacity ? MIN(size, node->capacity - at) : 0;
        memcpy(to, node->small + at, held);
        memset(to + held, 0, size - held);
    }
}

const u8 *content_packed(const struct node *node, u64 at, u64 *size) {
    if (!is_packed(node) || node->extents || at >= node->size)
        return NULL;
    *size = MIN(*size, node->size - at);
    return packed_bytes(node) + at;
}

long content_read(struct node *node, void *to, u64 size, u64 at) {
    if (at >= node->size)
        return 0;
    size = MIN(size, node->size - at);
    for (u64 done = 0, piece; done < size; done += piece) {
        piece = size - done;
        const u8 *there = extent_bytes(node, at + done, &piece);
        if (!there) {
            read_held(node, (u8 *)to + done, piece, at + done);
            continue;
        }
        extent_use(there, piece, PROT_READ, true);
        memcpy((u8 *)to + done, there, piece);
        extent_use(there, piece, PROT_READ, false);
    }
    return (long)size;
}

static long grow_small(struct node *node, u64 wanted) {
    u64 capacity = MAX(node->capacity, 64);
    while (capacity < wanted)
        capacity *= 2;
    if (capacity == node->capacity)
        return 0;
    u8 *bigger = heap_alloc(capacity);
    if (!bigger)
        return -ENOSPC;
    memcpy(bigger, node->small, MIN(node->size, node->capacity));
    heap_free(node->small);
    node->small = bigger, node->capacity = capacity;
    return 0;
}

static long grow_table(struct node *node, u64 count) {
    if (count <= node->chunk_count)
        return 0;
    u64 wanted = MAX(count, node->chunk_count * 2);
    u8 **table = heap_alloc(wanted * (sizeof *table + sizeof(u16)));
    if (!table)
        return -ENOSPC;
    memcpy(table, node->chunks, node->chunk_count * sizeof *table);
    memcpy(table + wanted, chunk_words(node), node->chunk_count * sizeof(u16));
    heap_free(node->chunks);
    node->chunks = table, node->chunk_count = wanted;
    return 0;
}

static long need_chunk(struct node *node, u64 index) {
    if (node->chunks[index])
        return 0;
    u64 pages = pages_take(CHUNK_PAGES, PAGES_LIBOS);
    node->chunks[index] = (u8 *)pages;
    return pages ? 0 : -ENOSPC;
}

static long to_chunks(struct node *node, u64 size) {
    long error = grow_table(node, (size + CHUNK - 1) / CHUNK);
    if (error || !node->small)
        return error;
    error = need_chunk(node, 0);
    if (error) { /* its bytes are where they were */
        heap_free(node->chunks);
        node->chunks = NULL, node->chunk_count = 0;
        return error;
    }
    *chunk_words(node) = node->written, node->written = 0;
    memcpy(node->chunks[0], node->small, MIN(node->size, node->capacity));
    heap_free(node->small);
    node->small = NULL, node->capacity = 0;
    return 0;
}

/* Room for `size` bytes in the file's own memory; holes stay holes. */
static long make_room(struct node *node, u64 size) {
    if (size > LARGEST)
        return -EFBIG;
    if (size <= CHUNK && !node->chunks)
        return grow_small(node, size);
    return to_chunks(node, size);
}

static void cut_chunks(struct node *node, u64 size) {
    u64 keep = (size + CHUNK - 1) / CHUNK;
    for (u64 index = keep; index < node->chunk_count; index++) {
        if (node->chunks[index])
            pages_give((u64)node->chunks[index], CHUNK_PAGES, PAGES_LIBOS);
        node->chunks[index] = NULL;
    }
    if (size % CHUNK && keep <= node->chunk_count && node->chunks[keep - 1])
        memset(node->chunks[keep - 1] + size % CHUNK, 0, CHUNK - size % CHUNK);
}

static void free_held(struct node *node) {
    if (node->chunks)
        cut_chunks(node, 0);
    heap_free(node->chunks);
    heap_free(node->small);
    node->chunks = NULL, node->small = NULL;
    node->chunk_count = node->capacity = node->held = node->written = 0;
}

/* Where bytes are written, as far as they lie in a row; NULL: no memory. */
static u8 *bytes_at(struct node *node, u64 at, u64 *size) {
    u8 *there = extent_bytes(node, at, size);
    if (there)
        return there;
    if (!node->chunks)
        return node->small + at;
    u64 index = at / CHUNK, inside = at % CHUNK;
    *size = MIN(*size, CHUNK - inside);
    return need_chunk(node, index) ? NULL : node->chunks[index] + inside;
}

static long write_own(struct node *node, const u8 *from, u64 size, u64 at) {
    long error = make_room(node, at + size);
    u64 done = 0;
    if (error)
        return error;
    if (at + size > node->size) /* what a mapping left behind the end is no part of it */
        extents_longer(node, at + size);
    for (u64 piece; done < size; done += piece) {
        piece = size - done;
        u8 *to = bytes_at(node, at + done, &piece);
        if (!to)
            break;
        if (node->extents)
            extent_use(to, piece, PROT_WRITE, true);
        memcpy(to, from + done, piece);
        if (node->extents)
            extent_use(to, piece, PROT_WRITE, false);
        pages_hold(node, at + done, piece);
    }
    bool grew = done && at + done > node->size;
    if (grew)
        node->size = at + done;
    if (grew && guest_memory && node->extents)
        guest_memory->bound(0, ~0UL);
    return done ? (long)done : -ENOSPC;
}

/* Those of `keep` packed bytes that no extent has. */
static bool copy_packed(struct node *node, const u8 *from, u64 keep) {
    for (u64 at = 0, piece; at < keep; at += piece) {
        piece = keep - at;
        if (!extent_bytes(node, at, &piece) && write_own(node, from + at, piece, at) != (long)piece)
            return false;
    }
    return true;
}

/* The file's bytes become its own; `keep` of them matter. */
static long own(struct node *node, u64 keep) {
    if (!is_packed(node))
        return 0;
    const u8 *from = packed_bytes(node);
    const struct tree_record *packed = node->packed;
    u64 size = node->size;
    node->packed = NULL, node->size = 0;
    bool done = copy_packed(node, from, MIN(keep, size));
    node->size = done ? MIN(keep, size) : size;
    if (done)
        return 0;
    free_held(node);
    node->packed = packed;
    return -ENOSPC;
}

long content_write(struct node *node, const void *from, u64 size, u64 at) {
    if (!size)
        return 0;
    if (at + size < at || at + size > LARGEST)
        return -EFBIG;
    *(volatile const u8 *)from, ((volatile const u8 *)from)[size - 1]; /* a bad pointer ends here */
    long error = own(node, ~0UL);
    return error ? error : write_own(node, from, size, at);
}

long content_resize(struct node *node, u64 size) {
    u64 before = node->size;
    if (guest_memory && size < node->size)
        guest_memory->cut(node, size);
    long error = own(node, size);
    if (error)
        return error;
    if (size > node->size) {
        error = make_room(node, size);
        if (error)
            return error;
        extents_longer(node, size);
    } else {
        node->size = before; /* until what was mapped behind the new end is cleared */
        extents_clear(node, size, ALIGN_UP(before, PAGE));
        if (node->chunks)
            cut_chunks(node, size);
        else if (size < node->capacity)
            memset(node->small + size, 0, node->capacity - size);
        pages_drop(node, (size + PAGE - 1) / PAGE, ~0UL);
    }
    node->size = size;
    if (guest_memory)
        guest_memory->bound(0, ~0UL);
    return 0;
}

long content_make_own(struct node *node, const u8 *same, u64 size, u64 at) {
    if (is_packed(node) && !memcmp(packed_bytes(node) + at, same, size))
        return 0;
    return own(node, ~0UL);
}

static bool is_zero(const u8 *bytes, u64 size) {
    while (size && !*bytes)
        bytes++, size--;
    return !size;
}

/* Bytes within the file's size; what is zero already stays a hole. */
long content_keep(struct node *node, const u8 *from, u64 size, u64 at) {
    if (is_packed(node))
        return 0;
    for (u64 done = 0, piece; done < size; done += piece) {
        piece = MIN(size - done, CHUNK - (at + done) % CHUNK);
        u64 index = (at + done) / CHUNK;
        bool hole = node->chunks && (index >= node->chunk_count || !node->chunks[index]);
        if (hole && is_zero(from + done, piece))
            continue;
        if (write_own(node, from + done, piece, at + done) != (long)piece)
            return -ENOSPC;
    }
    return 0;
}

void content_give_back(struct node *node, u64 at, u64 size) {
    u64 end = (at + size) / CHUNK;
    for (u64 index = (at + CHUNK - 1) / CHUNK; index < MIN(end, node->chunk_count); index++) {
        if (node->chunks[index])
            pages_give((u64)node->chunks[index], CHUNK_PAGES, PAGES_LIBOS);
        node->chunks[index] = NULL;
    }
}

void content_free(struct node *node) {
    extents_free(node);
    free_held(node);
}
