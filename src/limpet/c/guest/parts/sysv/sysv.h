/* System V message queues, semaphores and shared memory: what all three have. */
#ifndef LIMPET_SYSV_H
#define LIMPET_SYSV_H

#include "core/park.h"
#include "libos.h"
#include "linux.h"

enum { IPC_CREAT = 01000, IPC_EXCL = 02000, IPC_NOWAIT = 04000 };
enum { IPC_RMID = 0, IPC_SET = 1, IPC_STAT = 2, IPC_INFO = 3 };

#define OWN_ID 1 /* getpid in a guest */
#define IPC_INDEX 0x7fff

/* uapi linux/ipc.h: struct ipc64_perm */
struct ipc_permissions {
    s32 key;
    u32 uid, gid, creator_uid, creator_gid, mode;
    u16 sequence, pad[3];
    u64 unused[2];
};
_Static_assert(sizeof(struct ipc_permissions) == 48, "struct ipc64_perm");

struct ipc {
    struct ipc *next;
    struct ipc_permissions permissions;
    u32 index;
    u32 waiting; /* threads: it is freed when the last of them knows that it is gone */
    bool gone;
};

/* Numbered as the kernel does it (ipc/util.c): in a circle that grows. */
struct ipc_table {
    struct ipc *first;
    u32 count, most, next_index;
    s32 last_index; /* that was given, plus one */
    u16 sequence;
};

long ipc_id(const struct ipc *ipc);
struct ipc *ipc_of(const struct ipc_table *table, long id); /* NULL: EINVAL */
struct ipc *ipc_at(const struct ipc_table *table, long index);
long ipc_highest(const struct ipc_table *table); /* index; 0 when there is none */

/* What there is under a key: an error, an id with `*found`, or 0 and NULL: it is to be made. */
long ipc_look(const struct ipc_table *table, long key, long flags, struct ipc **found);
long ipc_add(struct ipc_table *table, struct ipc *ipc, long key, long flags); /* its id */

/* It is gone for all; true: nobody waits, so it is to be freed. */
bool ipc_remove(struct ipc_table *table, struct ipc *ipc);
void ipc_change(struct ipc *ipc, const struct ipc_permissions *to);
s64 ipc_time(void); /* seconds */

/* Until it has changed, or is gone: -EIDRM.  The one that is told frees it with `left`. */
long ipc_wait(struct ipc *ipc, s64 deadline, const char *what);

#endif
