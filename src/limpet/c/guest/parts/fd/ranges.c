/*
 * Locks of ranges of bytes (fcntl(2)): those of the process, and those of open files.
 *
 * One list, where the locks of one owner in one file stand together, by their start, and do
 * not overlap: what F_GETLK finds first is what Linux finds first.
 *
 * A file of a volume is locked on the host as well, where other programs see it: an open file's
 * locks through itself, all of the process's in one file through the one that took the first.  When
 * that is closed they go, and Linux drops them whichever of the file's descriptors is closed.
 */
#include "core/park.h"
#include "parts/fd/locks.h"
#include "parts/files/node.h"

enum {
    F_GETLK = 5,
    F_SETLK = 6,
    F_SETLKW = 7,
    F_OFD_GETLK = 36,
    F_OFD_SETLK = 37,
    F_OFD_SETLKW = 38
};
enum { OWN_ID = 1, OF_A_FILE = -1 };

#define LAST_BYTE ((s64)(~0UL >> 1))

bool locks_command(u32 command) {
    return (command >= F_GETLK && command <= F_SETLKW) ||
           (command >= F_OFD_GETLK && command <= F_OFD_SETLKW);
}

static bool same_owner(const struct lock *a, const struct lock *b) {
    return a->owner == b->owner && locks_same_file(&a->file, &b->file);
}

static bool overlap(const struct lock *a, const struct lock *b) {
    return a->start <= b->end && b->start <= a->end;
}

/* Asking for no lock asks for one's own (F_OFD_GETLK). */
static bool conflict(const struct lock *asked, const struct lock *held) {
    if (!locks_same_file(&asked->file, &held->file) || !overlap(asked, held))
        return false;
    if (asked->kind == F_UNLCK)
        return same_owner(asked, held);
    return !same_owner(asked, held) && (asked->kind == F_WRLCK || held->kind == F_WRLCK);
}

static const struct lock *find_conflict(const struct lock *asked) {
    for (const struct lock *each = range_locks; each; each = each->next)
        if (conflict(asked, each))
            return each;
    return NULL;
}

/* The bytes that `given` means, in `lock`. */
static long take_range(struct file *file, const struct linux_flock *given, struct lock *lock) {
    struct linux_stat stat = {0};
    s64 base = 0;
    if (given->whence > SEEK_END)
        return -EINVAL;
    if (given->whence == SEEK_CUR)
        base = (s64)file->position;
    if (given->whence == SEEK_END && !file->ops->stat(file, &stat))
        base = stat.size;
    if (given->start > LAST_BYTE - base)
        return -EOVERFLOW;
    lock->start = base + given->start;
    if (lock->start < 0)
        return -EINVAL;
    lock->end = LAST_BYTE;
    if (given->length > 0 && given->length - 1 > LAST_BYTE - lock->start)
        return -EOVERFLOW;
    if (given->length > 0)
        lock->end = lock->start + given->length - 1;
    if (given->length < 0) {
        lock->end = lock->start - 1;
        lock->start += given->length;
        if (lock->start < 0)
            return -EINVAL;
    }
    lock->kind = given->kind;
    return given->kind > F_UNLCK ? -EINVAL : 0;
}

/* Take the bytes of `cut` from its owner's locks but `added`; `spare` becomes the second half
 * of one that is cut in two. */
static void cut_out(const struct lock *cut, struct lock *added, struct lock **spare) {
    for (struct lock **link = &range_locks; *link;) {
        struct lock *each = *link;
        if (each == added || !same_owner(each, cut) || !overlap(each, cut)) {
            link = &each->next;
        } else if (each->start < cut->start && each->end > cut->end) {
            struct lock *rest = *spare, *before = added ? added : each;
            *rest = *each, *spare = NULL;
            rest->start = cut->end + 1, each->end = cut->start - 1;
            rest->next = before->next, before->next = rest;
            return;
        } else if (each->start < cut->start) {
            each->end = cut->start - 1;
            link = &each->next;
        } else if (each->end > cut->end) {
            each->start = cut->end + 1;
            link = &each->next;
        } else {
            locks_free(link);
        }
    }
}

/* Among its owner's, or last of all. */
static void insert(struct lock *lock) {
    struct lock **link = &range_locks;
    while (*link && !same_owner(*link, lock))
        link = &(*link)->next;
    while (*link && same_owner(*link, lock) && (*link)->start < lock->start)
        link = &(*link)->next;
    lock->next = *link;
    *link = lock;
}

static void join(void) {
    for (struct lock *each = range_locks; each && each->next;) {
        const struct lock *next = each->next;
        if (same_owner(each, next) && each->kind == next->kind && each->end + 1 == next->start) {
            each->end = next->end;
            locks_free(&each->next);
        } else {
            each = each->next;
        }
    }
}

static long apply(const struct lock *asked) {
    bool locks = asked->kind != F_UNLCK;
    struct lock *spare = heap_alloc(sizeof *spare);
    struct lock *added = spare && locks ? heap_alloc(sizeof *added) : NULL;
    if (!spare || (locks && !added)) {
        heap_free(spare);
        return -ENOLCK;
    }
    if (added) {
        *added = *asked;
        insert(added);
    }
    cut_out(asked, added, &spare);
    heap_free(spare);
    join();
    locks_in_use();
    park_changed(&range_locks);
    return 0;
}

/* Through which open file the host has a lock. */
static const struct file *locked_by(const struct file *file, const struct lock *asked) {
    for (const struct lock *each = range_locks; each && !asked->owner; each = each->next)
        if (same_owner(each, asked))
            return each->by;
    return file;
}

/* The same on the host; another program may be in the way: -EAGAIN. */
static long lock_outside(const struct file *file, struct lock *lock) {
    if (!of_volume(file))
        return 0;
    struct linux_flock range = {.kind = lock->kind, .start = lock->start};
    range.length = lock->end == LAST_BYTE ? 0 : lock->end - lock->start + 1;
    lock->by = locked_by(file, lock);
    long error = guest_volumes->lock(lock->by, LOCK_SET, &range);
    return error == -EBADF ? -ENOLCK : error; /* one that is open to read only takes no other */
}

/* Whoever else is in the way, as the host tells it. */
static long tell_outside(const struct file *file, const struct lock *lock, struct linux_flock *to) {
    struct linux_flock range = {.kind = lock->kind, .start = lock->start};
    range.length = lock->end == LAST_BYTE ? 0 : lock->end - lock->start + 1;
    long error = guest_volumes->lock(locked_by(file, lock), LOCK_TELL, &range);
    if (!error && range.kind != F_UNLCK)
        *to = range;
    return error;
}

static bool of_file(u32 command) {
    return command >= F_OFD_GETLK;
}

static long find_lock(struct file *file, bool owned, struct linux_flock *to) {
    struct linux_flock asked = *to;
    struct lock lock = {.file = locks_of(file), .owner = owned ? file : NULL};
    if (asked.kind > F_WRLCK && !(owned && asked.kind == F_UNLCK))
        return -EINVAL;
    long error = take_range(file, &asked, &lock);
    if (error)
        return error;
    if (owned && asked.pid)
        return -EINVAL;
    const struct lock *held = find_conflict(&lock);
    asked.kind = held ? held->kind : F_UNLCK;
    if (held) {
        asked.whence = SEEK_SET;
        asked.start = held->start;
        asked.length = held->end == LAST_BYTE ? 0 : held->end - held->start + 1;
        asked.pid = held->owner ? OF_A_FILE : OWN_ID;
    }
    if (!held && of_volume(file) && lock.kind != F_UNLCK)
        error = tell_outside(file, &lock, &asked);
    if (!error)
        *to = asked;
    return error;
}

static long set_lock(struct file *file, bool owned, bool waits, const struct linux_flock *from) {
    struct linux_flock asked = *from;
    struct lock lock = {.file = locks_of(file), .owner = owned ? file : NULL};
    long error = take_range(file, &asked, &lock);
    if (error)
        return error;
    if ((lock.kind == F_RDLCK && !readable(file)) || (lock.kind == F_WRLCK && !writable(file)))
        return -EBADF;
    if (owned && asked.pid)
        return -EINVAL;
    for (u64 looks = 0;; looks++) {
        bool here = lock.kind != F_UNLCK && find_conflict(&lock);
        error = here ? -EAGAIN : lock_outside(file, &lock);
        if (error != -EAGAIN || !waits)
            return error ? error : apply(&lock);
        error = here ? locks_wait("a lock of a file that nobody else can release")
                     : guest_volumes->pause(looks);
        if (error)
            return error;
    }
}

long locks_control(struct file *file, u32 command, long argument) {
    struct linux_flock *range = (struct linux_flock *)argument;
    bool owned = of_file(command);
    if (command == F_GETLK || command == F_OFD_GETLK)
        return find_lock(file, owned, range);
    return set_lock(file, owned, command == F_SETLKW || command == F_OFD_SETLKW, range);
}
