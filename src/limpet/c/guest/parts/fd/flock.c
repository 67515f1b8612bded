/* Locks of whole files, by open file (flock(2)). */
#include "parts/fd/locks.h"
#include "parts/files/node.h"

enum { LOCK_SH = 1, LOCK_EX = 2, LOCK_NB = 4, LOCK_UN = 8, LOCK_MAND = 32 };

static long kind_of(u32 operation, u16 *kind) {
    switch (operation & ~(u32)LOCK_NB) {
    case LOCK_SH:
        *kind = F_RDLCK;
        return 0;
    case LOCK_EX:
        *kind = F_WRLCK;
        return 0;
    case LOCK_UN:
        *kind = F_UNLCK;
        return 0;
    default:
        return -EINVAL;
    }
}

static bool taken(const struct lock *asked) {
    for (const struct lock *each = file_locks; each; each = each->next)
        if (each->owner != asked->owner && locks_same_file(&each->file, &asked->file) &&
            (each->kind == F_WRLCK || asked->kind == F_WRLCK))
            return true;
    return false;
}

/* True when the file had just this lock.  One of the other kind goes before the new one is
 * there, as on Linux: who cannot have that has none. */
static bool give_up(const struct lock *asked) {
    for (struct lock **link = &file_locks; *link; link = &(*link)->next)
        if ((*link)->owner == asked->owner) {
            if ((*link)->kind == asked->kind)
                return true;
            locks_free(link);
            return false;
        }
    return false;
}

static long add(const struct lock *asked) {
    struct lock *lock = heap_alloc(sizeof *lock);
    if (!lock)
        return -ENOLCK;
    *lock = *asked;
    lock->next = file_locks;
    file_locks = lock;
    locks_in_use();
    return 0;
}

/* The host knows each open file, so it alone decides. */
static long lock_outside(const struct file *file, u32 operation) {
    struct linux_flock whole = {.kind = (u16)(operation | LOCK_NB)};
    for (u64 looks = 0;; looks++) {
        long error = guest_volumes->lock(file, LOCK_WHOLE, &whole);
        if (error != -EAGAIN || operation & LOCK_NB)
            return error;
        error = guest_volumes->pause(looks);
        if (error)
            return error;
    }
}

long sys_flock(long fd, long operation) {
    struct lock asked = {0};
    if (operation & LOCK_MAND)
        return 0; /* ignored since Linux 5.15 */
    long error = kind_of((u32)operation, &asked.kind);
    if (error)
        return error;
    struct file *file = fd_use(fd);
    if (!file || (asked.kind != F_UNLCK && !readable(file) && !writable(file)))
        return -EBADF;
    if (of_volume(file))
        return lock_outside(file, (u32)operation);
    asked.file = locks_of(file), asked.owner = file;
    if (give_up(&asked) || asked.kind == F_UNLCK)
        return 0;
    while (taken(&asked)) {
        error = operation & LOCK_NB ? -EAGAIN
                                    : locks_wait("a lock of a file that nobody else can release");
        if (error)
            return error;
    }
    return add(&asked);
}
