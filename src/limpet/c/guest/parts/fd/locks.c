/* What the two kinds of lock share: where they are kept, and when they go. */
#include "parts/fd/locks.h"
#include "core/park.h"
#include "parts/files/node.h"

struct lock *range_locks, *file_locks;

struct locked locks_of(struct file *file) {
    struct linux_stat stat = {0};
    file->ops->stat(file, &stat);
    return (struct locked){stat.dev, stat.ino};
}

long locks_wait(const char *what) {
    const struct waiting waits = {
        .deadline = FOREVER, .what = what, .restarts = true, .on = &range_locks};
    return park(&waits);
}

void locks_free(struct lock **link) {
    struct lock *gone = *link;
    *link = gone->next;
    heap_free(gone);
    park_changed(&range_locks);
}

static void drop_owned(struct lock **link, const struct file *owner, const struct locked *file) {
    while (*link) {
        const struct lock *each = *link;
        if (each->owner == owner && (owner || locks_same_file(&each->file, file)))
            locks_free(link);
        else
            link = &(*link)->next;
    }
}

/* Those of the process in a file of a volume, on the host: while the open file that has them lives.
 */
static void drop_outside(const struct locked *file) {
    struct linux_flock all = {.kind = F_UNLCK};
    for (const struct lock *each = range_locks; each; each = each->next)
        if (!each->owner && each->by && locks_same_file(&each->file, file)) {
            guest_volumes->lock(each->by, LOCK_SET, &all);
            return;
        }
}

/* Its last descriptor: the open file's own locks.  Any of them: those of the process. */
static void drop(struct file *file, bool last) {
    const struct locked of = locks_of(file);
    if (!last && guest_volumes)
        drop_outside(&of);
    drop_owned(&range_locks, last ? file : NULL, &of);
    if (last)
        drop_owned(&file_locks, file, &of);
}

void locks_in_use(void) {
    locks_drop = drop;
}
