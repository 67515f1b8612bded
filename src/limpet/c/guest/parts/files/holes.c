/* Which pages of a file were ever written: what lies between them are holes.  A packed file has
 * none, and neither has what is mapped shared. */
#include "parts/files/node.h"

enum { IN_CHUNK = 16 }; /* pages, each its bit */

/* Behind the table of chunks there are as many words, each with the pages of one. */
static u16 *word_of(struct node *node, u64 page) {
    u64 chunk = page / IN_CHUNK;
    if (!node->chunks)
        return chunk ? NULL : &node->written;
    return chunk < node->chunk_count ? chunk_words(node) + chunk : NULL;
}

void pages_hold(struct node *node, u64 at, u64 size) {
    for (u64 page = at / PAGE; page * PAGE < at + size; page++) {
        u16 *word = word_of(node, page), bit = (u16)(1U << page % IN_CHUNK);
        if (!word || *word & bit)
            continue;
        *word |= bit;
        node->held++;
    }
}

void pages_drop(struct node *node, u64 first, u64 end) {
    for (u64 page = first; page < end; page++) {
        u16 *word = word_of(node, page), bit = (u16)(1U << page % IN_CHUNK);
        if (!word)
            return;
        if (!*word)
            page |= IN_CHUNK - 1;
        if (!(*word & bit))
            continue;
        *word &= (u16)~bit;
        node->held--;
    }
}

static bool page_is_data(struct node *node, u64 page) {
    u64 size = 1;
    const u16 *word = word_of(node, page);
    return (node->packed && !is_directory(node)) || (word && *word >> page % IN_CHUNK & 1) ||
           extent_bytes(node, page * PAGE, &size);
}

long content_next(struct node *node, u64 at, bool data) {
    for (u64 page = at / PAGE; page * PAGE < node->size; page++)
        if (page_is_data(node, page) == data)
            return (long)MAX(at, page * PAGE);
    return data ? -ENXIO : (long)node->size;
}

/* As stat tells them: 512 bytes each. */
s64 content_blocks(const struct node *node) {
    u64 all = (node->size + PAGE - 1) / PAGE, held = node->packed ? all : node->held;
    for (const struct extent *each = node->extents; each; each = each->next)
        held += each->count;
    return (s64)(MIN(all, held) * (PAGE / 512));
}
