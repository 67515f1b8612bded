#include "parts/sysv/sysv.h"

#define SEQUENCE_SHIFT 15
#define LEAST_CIRCLE 64U

long ipc_id(const struct ipc *ipc) {
    return (long)ipc->permissions.sequence << SEQUENCE_SHIFT | ipc->index;
}

struct ipc *ipc_at(const struct ipc_table *table, long index) {
    struct ipc *each = table->first;
    while (each && each->index != ((u32)index & IPC_INDEX))
        each = each->next;
    return each;
}

struct ipc *ipc_of(const struct ipc_table *table, long id) {
    struct ipc *found = ipc_at(table, id);
    return found && ipc_id(found) == (s32)id ? found : NULL;
}

long ipc_highest(const struct ipc_table *table) {
    u32 highest = 0;
    for (const struct ipc *each = table->first; each; each = each->next)
        highest = MAX(highest, each->index);
    return highest;
}

long ipc_look(const struct ipc_table *table, long key, long flags, struct ipc **found) {
    struct ipc *each = (s32)key ? table->first : NULL;
    while (each && each->permissions.key != (s32)key)
        each = each->next;
    *found = each;
    if (each)
        return flags & IPC_CREAT && flags & IPC_EXCL ? -EEXIST : ipc_id(each);
    return (s32)key && !(flags & IPC_CREAT) ? -ENOENT : 0;
}

static u32 free_index(const struct ipc_table *table) {
    u32 circle = MIN(MAX(table->count * 3 / 2, LEAST_CIRCLE), table->most);
    u32 index = table->next_index < circle ? table->next_index : 0;
    while (ipc_at(table, index))
        index = index + 1 < circle ? index + 1 : 0;
    return index;
}

long ipc_add(struct ipc_table *table, struct ipc *ipc, long key, long flags) {
    u32 index = free_index(table);
    if ((s32)index < table->last_index)
        table->sequence++;
    table->last_index = (s32)index + 1;
    table->next_index = index + 1;
    ipc->index = index;
    ipc->permissions = (struct ipc_permissions){
        .key = (s32)key, .mode = (u32)flags & 0777, .sequence = table->sequence};
    ipc->next = table->first;
    table->first = ipc;
    table->count++;
    return ipc_id(ipc);
}

bool ipc_remove(struct ipc_table *table, struct ipc *ipc) {
    struct ipc **each = &table->first;
    while (*each != ipc)
        each = &(*each)->next;
    *each = ipc->next;
    table->count--;
    ipc->gone = true;
    park_changed(ipc);
    return !ipc->waiting;
}

void ipc_change(struct ipc *ipc, const struct ipc_permissions *to) {
    struct ipc_permissions *own = &ipc->permissions;
    own->uid = to->uid, own->gid = to->gid;
    own->mode = (own->mode & ~0777U) | (to->mode & 0777);
}

s64 ipc_time(void) {
    return (s64)(file_time() / NANOSECONDS);
}

long ipc_wait(struct ipc *ipc, s64 deadline, const char *what) {
    const struct waiting waits = {.deadline = deadline, .what = what, .on = ipc};
    ipc->waiting++;
    long woken = park(&waits);
    ipc->waiting--;
    return ipc->gone ? -EIDRM : woken;
}
