/* Files whose content is made when they are read, as those of Linux's /proc are: a read at
 * the start makes it anew, later ones go on in the same text. */
#include "parts/world/world.h"

static const struct standard *standard_of(const struct file *file) {
    return ((const struct node *)file->object)->standard;
}

/* A UUID of version 4 (RFC 9562). */
static void put_uuid(struct text *to, const u8 *random) {
    u8 bytes[16];
    memcpy(bytes, random, sizeof bytes);
    bytes[6] = (u8)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (u8)((bytes[8] & 0x3f) | 0x80);
    for (u64 i = 0; i < sizeof bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            text_put(to, "-");
        text_hex(to, bytes[i], 2);
    }
    text_put(to, "\n");
}

static void make_random(struct text *to, bool once) {
    static u8 first[16];
    static u64 start = ~0UL; /* of which it is */
    u8 random[16];
    entropy_fill(random, sizeof random);
    if (start != entropy_renewed)
        memcpy(first, random, sizeof first);
    start = entropy_renewed;
    put_uuid(to, once ? first : random);
}

static struct text *made(struct file *file, bool anew) {
    const struct standard *from = standard_of(file);
    struct text *text = (struct text *)file->extra;
    if (text && !anew)
        return text;
    if (!text) {
        text = heap_alloc(sizeof *text);
        file->extra = (u64)text;
    }
    if (!text)
        return NULL;
    text->used = 0;
    if (from->make)
        from->make(text, ((const struct node *)file->object)->number);
    else if (!from->text)
        make_random(text, from->size);
    else
        text_bytes(text, from->text, from->size);
    return text->cut ? NULL : text;
}

static long synthetic_pread(struct file *file, void *to, u64 size, u64 at) {
    const struct text *text = made(file, !at);
    if (!text)
        return -ENOMEM;
    size = at < text->used ? MIN(size, text->used - at) : 0;
    memcpy(to, text->bytes + at, size);
    return (long)size;
}

static long synthetic_read(struct file *file, void *to, u64 size) {
    long done = synthetic_pread(file, to, size, file->position);
    file->position += done > 0 ? (u64)done : 0;
    return done;
}

#define LONGEST_SETTING 128UL

static long synthetic_write(struct file *file, const void *from, u64 size) {
    const struct node *node = file->object;
    char bytes[LONGEST_SETTING];
    if (!node->standard->set)
        return -EINVAL;
    u64 used = MIN(size, sizeof bytes);
    memcpy(bytes, from, used);
    long done = node->standard->set(bytes, used, node->number);
    return done < 0 ? done : (long)size;
}

static long synthetic_pwrite(struct file *file, const void *from, u64 size, u64 at) {
    (void)at;
    return synthetic_write(file, from, size);
}

static long synthetic_seek(struct file *file, long offset, int whence) {
    long to = whence == SEEK_SET ? 0 : (long)file->position;
    if ((whence != SEEK_SET && whence != SEEK_CUR) || __builtin_add_overflow(to, offset, &to) ||
        to < 0)
        return -EINVAL;
    file->position = (u64)to;
    return to;
}

static void synthetic_close(struct file *file) {
    struct text *text = (struct text *)file->extra;
    if (text)
        text_free(text);
    file_close(file);
}

bool of_tree(const struct file *file) {
    return file->ops->release == file_close || file->ops->release == synthetic_close;
}

struct node *file_node(struct file *file) {
    return of_tree(file) ? file->object : file->named;
}

const struct file_ops synthetic_ops = {
    .read = synthetic_read,
    .write = synthetic_write,
    .pread = synthetic_pread,
    .pwrite = synthetic_pwrite,
    .seek = synthetic_seek,
    .stat = file_stat,
    .release = synthetic_close,
};
