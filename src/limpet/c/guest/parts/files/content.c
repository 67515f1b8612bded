/*
 * What is in a file.  Packed bytes are read in place and copied at the first write.
 * Up to 64 KiB lie in one buffer that doubles; beyond that in 64 KiB chunks, where a
 * missing one reads as zeros.
 */
#include "parts/files/node.h"

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

long content_read(struct node *node, void *to, u64 size, u64 at) {
    if (at >= node->size)
        return 0;
    size = MIN(size, node->size - at);
    if (is_packed(node)) {
        memcpy(to, packed_bytes(node) + at, size);
    } else if (node->chunks) {
        read_chunks(node, to, size, at);
    } else {
        u64 held = at < node->capacity ? MIN(size, node->capacity - at) : 0;
        memcpy(to, node->small + at, held);
        memset((u8 *)to + held, 0, size - held);
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
    u8 **table = heap_alloc(wanted * sizeof *table);
    if (!table)
        return -ENOSPC;
    memcpy(table, node->chunks, node->chunk_count * sizeof *table);
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
    if (error)
        return error;
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

static long write_own(struct node *node, const u8 *from, u64 size, u64 at) {
    long error = make_room(node, at + size);
    u64 done = 0;
    if (error)
        return error;
    if (!node->chunks) {
        memcpy(node->small + at, from, size);
        done = size;
    }
    while (done < size) {
        u64 index = (at + done) / CHUNK, inside = (at + done) % CHUNK;
        u64 piece = MIN(size - done, CHUNK - inside);
        error = need_chunk(node, index);
        if (error)
            break;
        memcpy(node->chunks[index] + inside, from + done, piece);
        done += piece;
    }
    if (done)
        node->size = MAX(node->size, at + done);
    return done ? (long)done : error;
}

/* The file's bytes become its own; `keep` of them matter. */
static long own(struct node *node, u64 keep) {
    if (!is_packed(node))
        return 0;
    const u8 *from = packed_bytes(node);
    const struct tree_record *packed = node->packed;
    u64 size = node->size;
    node->packed = NULL, node->size = 0;
    long done = keep ? write_own(node, from, MIN(keep, size), 0) : 0;
    if (done >= 0 && (u64)done == MIN(keep, size))
        return 0;
    content_free(node);
    node->packed = packed, node->size = size;
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

long content_resize(struct node *node, u64 size) {
    long error = own(node, size);
    if (error)
        return error;
    if (size > node->size) {
        error = make_room(node, size);
        if (error)
            return error;
    } else if (node->chunks) {
        cut_chunks(node, size);
    } else if (size < node->capacity) {
        memset(node->small + size, 0, node->capacity - size);
    }
    node->size = size;
    return 0;
}

void content_free(struct node *node) {
    if (node->chunks)
        cut_chunks(node, 0);
    heap_free(node->chunks);
    heap_free(node->small);
    node->chunks = NULL, node->small = NULL;
    node->chunk_count = node->capacity = 0;
}
