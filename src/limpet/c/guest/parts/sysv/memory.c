/* Shared memory: shmget(2) and its relatives, as ipc/shm.c has them.  A segment is a file without
 * a name, mapped; a second mapping of it lies where the first does. */
#include "parts/files/node.h"
#include "parts/memory/maps.h"
#include "parts/sysv/rows.h"

enum { SHM_LOCK = 11, SHM_UNLOCK = 12, SHM_STAT = 13, SHM_INFO = 14, SHM_STAT_ANY = 15 };
enum { SHM_DEST = 01000, SHM_LOCKED = 02000 };
enum { SHM_HUGETLB = 04000, SHM_HUGE_SHIFT = 26 };
enum { SHM_RDONLY = 010000, SHM_RND = 020000, SHM_REMAP = 040000, SHM_EXEC = 0100000 };
enum { SEGMENTS = 4096 };
#define MOST_BYTES_OF_ALL (~0UL - (1UL << 24))

struct segment {
    struct ipc ipc;
    struct node *node;
    u64 size;
    s64 attached, detached, changed;
    s32 last;
};

/* uapi asm-generic/shmbuf.h: struct shmid64_ds */
struct segment_status {
    struct ipc_permissions permissions;
    u64 size;
    s64 attached, detached, changed;
    s32 creator, last;
    u64 attaches, unused[2];
};
_Static_assert(sizeof(struct segment_status) == 112, "struct shmid64_ds");

struct segment_limits {
    u64 most, least, segments, of_process, pages, unused[4];
};

struct segment_use {
    s32 segments, pad;
    u64 pages, resident, swapped, swap_attempts, swap_successes;
};

static struct ipc_table table = {.most = SEGMENTS};

static u64 attaches_of(const struct segment *segment) {
    u64 count = 0;
    for (struct mapping *each = mapping_from(0); each; each = each->next)
        if (each->file && each->file->object == segment->node && !each->offset)
            count += 1 + each->layers;
    return count;
}

static void free_segment(struct segment *segment) {
    segment->node->references--;
    node_release(segment->node);
    heap_free(segment);
}

/* Those that were removed, and are mapped nowhere any more. */
static void drop_unused(void) {
    for (struct ipc *each = table.first, *next; each; each = next) {
        next = each->next;
        if (!(each->permissions.mode & SHM_DEST) || attaches_of((struct segment *)each))
            continue;
        ipc_remove(&table, each);
        free_segment((struct segment *)each);
    }
}

static struct segment *segment_of(long id) {
    drop_unused();
    return (struct segment *)ipc_of(&table, id);
}

static struct segment *make(u64 size) {
    struct segment *made = heap_alloc(sizeof *made);
    struct node *node = made ? node_new(S_IFREG | 0777) : NULL;
    if (!node || content_resize(node, ALIGN_UP(size, PAGE)) < 0) {
        if (node)
            node_release(node);
        heap_free(made);
        return NULL;
    }
    node->references++;
    *made = (struct segment){.node = node, .size = size, .changed = ipc_time()};
    return made;
}

/* Its logarithm is in the flags, or 0: that of the machine. */
static bool huge_size_known(long flags) {
    u32 bits = (u32)flags >> SHM_HUGE_SHIFT & 63;
    return !bits || bits == 21 || bits == 30;
}

static void put_rest(struct text *to, const struct ipc *ipc) {
    const struct segment *segment = (const struct segment *)ipc;
    u64 attaches = attaches_of(segment);
    const struct ipc_column first[] = {{segment->size, 21}, {OWN_ID, 5}, {(u64)segment->last, 5}};
    const struct ipc_column rest[] = {{attaches, 5},
                                      IPC_OWNERS(ipc->permissions),
                                      {(u64)segment->attached, 10},
                                      {(u64)segment->detached, 10},
                                      {(u64)segment->changed, 10},
                                      {attaches ? ALIGN_UP(segment->size, PAGE) : 0, 21},
                                      {0, 21}};
    ipc_columns(to, first, COUNT(first));
    text_put(to, " ");
    ipc_columns(to, rest, COUNT(rest));
}

static void put_rows(struct text *to) {
    drop_unused();
    ipc_rows(&table, to, put_rest);
}

long sys_shmget(long key, long size, long flags) {
    struct ipc *found;
    drop_unused();
    long id = ipc_look(&table, key, flags, &found);
    if (found && id >= 0 && (u64)size > ((struct segment *)found)->size)
        return -EINVAL;
    if (id || found)
        return id;
    if (!size || (u64)size > MOST_BYTES_OF_ALL)
        return -EINVAL;
    if (table.count >= table.most)
        return -ENOSPC;
    if (flags & SHM_HUGETLB)
        return huge_size_known(flags) ? -ENOMEM : -EINVAL;
    bool too_much = (u64)size > guest_info.arena_hi - guest_info.arena_lo;
    sysv_rows[ROWS_OF_SEGMENTS] = put_rows;
    struct segment *made = too_much ? NULL : make((u64)size);
    return made ? ipc_add(&table, &made->ipc, key, flags) : -ENOMEM;
}

static long attach(struct segment *segment, u64 at, long flags, bool fixed) {
    bool reads = flags & SHM_RDONLY;
    long rights = PROT_READ | (reads ? 0 : PROT_WRITE) | (flags & SHM_EXEC ? PROT_EXEC : 0);
    struct file *file =
        file_new(&regular_ops, (reads ? O_RDONLY : O_RDWR) | O_LARGEFILE, segment->node);
    if (!file)
        return -ENOMEM;
    segment->node->references++;
    long mapped = map_file(file, at, segment->size, rights, MAP_SHARED | (fixed ? MAP_FIXED : 0));
    file_release(file);
    if (mapped >= 0)
        segment->attached = ipc_time(), segment->last = OWN_ID;
    return mapped;
}

long sys_shmat(long id, long address, long flags) {
    u64 at = (u64)address, odd = at % PAGE;
    if ((s32)id < 0 || (odd && !(flags & SHM_RND)) || (!address && flags & SHM_REMAP))
        return -EINVAL;
    at -= odd;
    if (odd && !at && flags & SHM_REMAP)
        return -EINVAL;
    struct segment *segment = segment_of(id);
    if (!segment)
        return -EINVAL;
    u64 end = at + ALIGN_UP(segment->size, PAGE);
    if (address && !(flags & SHM_REMAP) && (end < at || mappings_between(at, end)))
        return -EINVAL;
    return attach(segment, at, flags, address);
}

static struct segment *mapped_by(const struct mapping *mapping) {
    struct ipc *each = mapping->file ? table.first : NULL;
    while (each && ((struct segment *)each)->node != mapping->file->object)
        each = each->next;
    return (struct segment *)each;
}

long sys_munmap(long address, long length);

/* What is left of the mapping that began there. */
long sys_shmdt(long address) {
    u64 at = (u64)address;
    struct segment *found = NULL;
    if (at % PAGE)
        return -EINVAL;
    for (struct mapping *each = mapping_from(at), *next; each; each = next) {
        struct segment *segment = mapped_by(each);
        next = each->next;
        if (!segment || (found && segment != found) || each->low - each->offset != at)
            continue;
        found = segment;
        sys_munmap((long)each->low, (long)(each->high - each->low));
    }
    if (!found)
        return -EINVAL;
    found->detached = ipc_time(), found->last = OWN_ID;
    drop_unused();
    return 0;
}

static long limits(long to) {
    *(struct segment_limits *)to = (struct segment_limits){.most = MOST_BYTES_OF_ALL,
                                                           .least = 1,
                                                           .segments = SEGMENTS,
                                                           .of_process = SEGMENTS,
                                                           .pages = MOST_BYTES_OF_ALL};
    return ipc_highest(&table);
}

static long use(long to) {
    struct segment_use all = {.segments = (s32)table.count};
    for (const struct ipc *each = table.first; each; each = each->next) {
        const struct segment *segment = (const struct segment *)each;
        all.pages += ALIGN_UP(segment->size, PAGE) / PAGE;
        all.resident += attaches_of(segment) ? ALIGN_UP(segment->size, PAGE) / PAGE : 0;
    }
    *(struct segment_use *)to = all;
    return ipc_highest(&table);
}

static long tell(const struct segment *segment, long to, bool by_index) {
    if (!segment)
        return -EINVAL;
    *(struct segment_status *)to = (struct segment_status){.permissions = segment->ipc.permissions,
                                                           .size = segment->size,
                                                           .attached = segment->attached,
                                                           .detached = segment->detached,
                                                           .changed = segment->changed,
                                                           .creator = OWN_ID,
                                                           .last = segment->last,
                                                           .attaches = attaches_of(segment)};
    return by_index ? ipc_id(&segment->ipc) : 0;
}

/* It stays until it is mapped nowhere, without its key. */
static void remove(struct segment *segment) {
    segment->ipc.permissions.mode |= SHM_DEST;
    segment->ipc.permissions.key = 0;
    drop_unused();
}

static long change(struct segment *segment, u32 command, const struct segment_status *to) {
    struct ipc_permissions *own = segment ? &segment->ipc.permissions : NULL;
    if (!segment)
        return -EINVAL;
    switch (command) {
    case SHM_LOCK:
        own->mode |= SHM_LOCKED;
        return 0;
    case SHM_UNLOCK:
        own->mode &= ~(u32)SHM_LOCKED;
        return 0;
    case IPC_RMID:
        remove(segment);
        return 0;
    default:
        ipc_change(&segment->ipc, &to->permissions);
        segment->changed = ipc_time();
        return 0;
    }
}

long sys_shmctl(long id, long command, long argument) {
    struct segment_status wanted = {0};
    if ((s32)id < 0 || (s32)command < 0)
        return -EINVAL;
    struct segment *segment = segment_of(id);
    switch ((s32)command) {
    case IPC_INFO:
        return limits(argument);
    case SHM_INFO:
        return use(argument);
    case SHM_STAT:
    case SHM_STAT_ANY:
        return tell((const struct segment *)ipc_at(&table, id), argument, true);
    case IPC_STAT:
        return tell(segment, argument, false);
    case IPC_SET:
        wanted = *(const struct segment_status *)argument;
        /* fall through */
    case IPC_RMID:
    case SHM_LOCK:
    case SHM_UNLOCK:
        return change(segment, (u32)command, &wanted);
    default:
        return -EINVAL;
    }
}
