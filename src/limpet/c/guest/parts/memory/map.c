/* mmap and munmap: pages of the arena, filled from a file or lent by it. */
#include "parts/memory/placed.h"
#include "parts/memory/reserve.h"

#define LONGEST_FILE (~0UL >> 1)
#define LEGACY_FLAGS 0xfc07ffffUL /* uapi linux/mman.h: what MAP_SHARED_VALIDATE knows */

struct request {
    u64 at, size, rights, flags, offset;
    struct file *file;
};

static bool is_fixed(const struct request *want) {
    return want->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
}

/* Beyond the end of the file: zeros, where Linux has SIGBUS. */
long fill_from_file(struct file *file, u64 at, u64 length, u64 offset) {
    for (u64 done = 0; done < length;) {
        long got = file->ops->fill(file, (void *)(at + done), length - done, offset + done);
        if (got < 0)
            return got;
        if (got == 0)
            break;
        done += (u64)got;
    }
    return 0;
}

static long check_file(const struct request *want) {
    const struct file *file = want->file;
    u64 type = want->flags & MAP_TYPE;
    u64 longest = file->ops->map ? LONGEST_FILE : ~0UL; /* a folder or pipe has no end */
    if (want->size > longest || want->offset / PAGE > (longest - want->size) / PAGE)
        return -EOVERFLOW;
    if (type == MAP_SHARED_VALIDATE && want->flags & ~LEGACY_FLAGS)
        return -EOPNOTSUPP;
    if (type == 0 || type > MAP_SHARED_VALIDATE)
        return -EINVAL;
    if (type != MAP_PRIVATE && want->rights & PROT_WRITE && !writable(file))
        return -EACCES;
    if (!readable(file))
        return -EACCES;
    return file->ops->map ? 0 : -ENODEV;
}

static u64 mapped(u64 low, u64 high) {
    u64 size = 0;
    for (const struct mapping *each = mapping_from(low); each && each->low < high;
         each = each->next)
        size += MIN(each->high, high) - MAX(each->low, low);
    return size;
}

/* What it lies over does not count, as on Linux. */
static bool is_beyond_limit(const struct request *want) {
    u64 over = is_fixed(want) ? mapped(want->at, want->at + want->size) : 0;
    bool shared = (want->flags & MAP_TYPE) != MAP_PRIVATE;
    return beyond_limit(want->size - over, counts_as_data(want->rights, shared));
}

/* In the order in which Linux looks at them (do_mmap). */
static long check(const struct request *want) {
    u64 type = want->flags & MAP_TYPE;
    bool fixed = is_fixed(want);
    if (!want->size || want->size > ADDRESSES)
        return -ENOMEM;
    if (fixed && want->at > ADDRESSES - want->size)
        return -ENOMEM;
    if (fixed && want->at % PAGE)
        return -EINVAL;
    if (want->flags & MAP_FIXED_NOREPLACE && mappings_between(want->at, want->at + want->size))
        return -EEXIST;
    if (want->file)
        return check_file(want);
    return type == MAP_SHARED || type == MAP_PRIVATE ? 0 : -EINVAL;
}

/* Pages of the file's own: where they lie, or where they come when they are touched.  0: it is to
 * be copied. */
long map_lent(struct mapping made, u64 at, u64 length, bool fixed) {
    const struct mapping_wish wish = {
        .offset = made.offset,
        .length = length,
        .at = at,
        .shared = made.shared,
        .writes = made.rights & PROT_WRITE,
        .fixed = fixed,
        .in_use = mappings_use,
    };
    bool apart = wish.shared && wish.fixed && is_reserved(wish.at, wish.length);
    long got = apart ? -ENODEV : made.file->ops->map(made.file, &wish);
    if (got == -ENODEV && wish.shared && made.file->ops->unmap) {
        if (guest_memory && (apart || !wish.fixed))
            return guest_memory->alias(&made, &wish);
        mapping_refused();
    }
    if (got <= 0)
        return got;
    made.low = (u64)got, made.high = made.low + length, made.lent = true;
    return mapping_add_lent(&made) ? got : -ENOMEM;
}

/* Memory that the program does not want yet, or all of which it will never want. */
static bool wants_reserve(const struct request *want) {
    if (!guest_memory || is_fixed(want))
        return is_reserved(want->at, want->size);
    bool later = !want->rights || want->flags & MAP_NORESERVE || want->rights & PROT_EXEC;
    return !want->file && (later || is_reserved(want->at, want->size)) &&
           is_reserved(guest_info.reserve_lo, want->size);
}

/* Its pages are placed as they are touched, from here on, too. */
static long map_reserved(const struct request *want, struct mapping *made) {
    made->low =
        is_fixed(want) ? want->at : guest_memory->find(ALIGN_DOWN(want->at, PAGE), want->size);
    made->high = made->low + want->size;
    made->rights = want->file ? PROT_READ | PROT_WRITE : (u8)want->rights;
    if (!made->low || !mapping_add(made))
        return -ENOMEM;
    if (!want->file)
        return (long)made->low;
    long error = fill_from_file(want->file, made->low, want->size, want->offset);
    if (error) {
        mappings_remove(made->low, made->high, ALL_LAYERS);
        return error;
    }
    rights_change(made->low, made->high, (u8)want->rights);
    return (long)made->low;
}

/* Pages of the arena; many of them in large pages, if their rights can change. */
static long take_pages(const struct request *want) {
    u64 count = want->size / PAGE;
    if (!guest_memory || want->at || is_fixed(want) || want->size < LARGE_PAGE)
        return place(want->at, count, is_fixed(want));
    u64 at = pages_take_large(count, PAGES_PROGRAM);
    return at ? (long)at : -ENOMEM;
}

/* What is there is gone, and the arguments are right. */
static long map_anew(const struct request *want) {
    struct mapping made = {.file = want->file,
                           .offset = want->file ? want->offset : 0,
                           .rights = (u8)want->rights,
                           .shared = (want->flags & MAP_TYPE) != MAP_PRIVATE};
    long at = 0;
    if (made.file)
        at = map_lent(made, ALIGN_DOWN(want->at, PAGE), want->size, is_fixed(want));
    if (at)
        return at;
    made.reserved = wants_reserve(want);
    if (made.reserved)
        return map_reserved(want, &made);
    at = take_pages(want);
    if (at < 0)
        return at;
    made.low = (u64)at, made.high = made.low + want->size;
    long error = made.file ? fill_from_file(made.file, made.low, want->size, want->offset) : 0;
    if (!error && !mapping_add(&made))
        error = -ENOMEM;
    if (error)
        pages_give(made.low, want->size / PAGE, PAGES_PROGRAM);
    else if (made.rights != (PROT_READ | PROT_WRITE))
        set_rights(&made, made.rights);
    return error ? error : at;
}

/* MAP_FIXED replaces the program's own pages and takes free ones, but never ours. */
long clear_for(u64 at, u64 size) {
    if ((!in_arena(at, size / PAGE) && !is_reserved(at, size)) || !mappings_ready(at, at + size))
        return -ENOMEM;
    for (u64 each = at; in_arena(each, 1) && each < at + size; each += PAGE)
        if (pages_are(each, 1, PAGES_LIBOS) && !mapping_at(each))
            return -ENOMEM;
    mappings_remove(at, at + size, ALL_LAYERS);
    return 0;
}

static long map(const struct request *want, u64 length, long protection) {
    long error = check(want);
    if (!error && mappings_limit && is_beyond_limit(want))
        error = -ENOMEM;
    if (error)
        return error;
    if (guest_placed && (want->flags & MAP_TYPE) == MAP_PRIVATE) {
        long at = guest_placed->map(want->at, length, is_fixed(want), want->file, want->offset);
        if (at != -ENOSYS)
            return at;
    }
    if (protection & PROT_EXEC && !host_execute) {
        if (!guest_placed || !want->file)
            return execution_refused();
        guest_placed->refused(want->file);
        return -EACCES;
    }
    if (!wants_reserve(want) && is_too_much(want->size, protection))
        return -ENOMEM;
    if (is_fixed(want))
        error = clear_for(want->at, want->size);
    if (error && want->flags & MAP_FIXED_NOREPLACE && in_arena(want->at, want->size / PAGE))
        return -EEXIST; /* pages of ours */
    return error ? error : map_anew(want);
}

long map_file(struct file *file, u64 at, u64 length, long protection, long flags) {
    const struct request want = {.at = at,
                                 .size = ALIGN_UP(length, PAGE),
                                 .rights = (u64)protection,
                                 .flags = (u64)flags,
                                 .file = file};
    return map(&want, length, protection);
}

long sys_mmap(long address, long length, long protection, long flags, long fd, long offset) {
    struct request want = {.at = (u64)address,
                           .size = ALIGN_UP((u64)length, PAGE),
                           .rights = (u64)protection & (PROT_READ | PROT_WRITE | PROT_EXEC),
                           .flags = (u64)flags,
                           .offset = (u64)offset};
    if (offset % (long)PAGE)
        return -EINVAL;
    if (!(flags & MAP_ANONYMOUS)) {
        want.file = fd_use(fd);
        if (!want.file)
            return -EBADF;
    }
    if (flags & MAP_HUGETLB)
        return want.file ? -EINVAL : -ENOMEM;
    if (!length)
        return -EINVAL;
    return map(&want, (u64)length, protection);
}

long sys_munmap(long address, long length) {
    u64 at = (u64)address, size = ALIGN_UP((u64)length, PAGE);
    if (at % PAGE || at > ADDRESSES || (u64)length > ADDRESSES - at || !size)
        return -EINVAL;
    if (guest_placed && guest_placed->unmap(at, size))
        return 0;
    if (!mappings_ready(at, at + size))
        return -ENOMEM;
    mappings_remove(at, at + size, LAST_LAYER);
    return 0;
}
