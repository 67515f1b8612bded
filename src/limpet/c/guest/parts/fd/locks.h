/* Locks of files, and of ranges in them. */
#ifndef LIMPET_LOCKS_H
#define LIMPET_LOCKS_H

#include "parts/fd/fd.h"

/* Which file: two opened from one name are the same. */
struct locked {
    u64 device, inode;
};

/* `owner` is an open file (flock, F_OFD_*), or NULL for the process. */
struct lock {
    struct lock *next;
    struct locked file;
    const struct file *owner;
    const struct file *by; /* of a volume: through which the host has it */
    s64 start, end;        /* both inside */
    u16 kind;              /* F_RDLCK or F_WRLCK */
};

struct linux_flock {
    u16 kind, whence;
    s64 start, length;
    s32 pid;
};
_Static_assert(sizeof(struct linux_flock) == 32, "struct flock");

enum { F_RDLCK = 0, F_WRLCK = 1, F_UNLCK = 2 };

static inline bool locks_same_file(const struct locked *a, const struct locked *b) {
    return a->device == b->device && a->inode == b->inode;
}

extern struct lock *range_locks, *file_locks;

struct locked locks_of(struct file *file);
bool locks_command(u32 command); /* of fcntl */
long locks_control(struct file *file, u32 command, long argument);
long locks_wait(const char *what); /* until another thread may have unlocked; 0: look again */
void locks_free(struct lock **link);
void locks_in_use(void); /* from now on, closing a file releases them */

#endif
