/* Message queues: msgget(2) and its relatives, as ipc/msg.c has them. */
#include "parts/sysv/rows.h"

enum { MSG_STAT = 11, MSG_INFO = 12, MSG_STAT_ANY = 13 };
enum { MSG_NOERROR = 010000, MSG_EXCEPT = 020000, MSG_COPY = 040000 };
#define LOWEST ((s64)(1UL << 63))
enum { QUEUES = 32000, MOST_SIZE = 8192, QUEUE_BYTES = 16384 };

struct message {
    struct message *next;
    s64 type;
    u64 size;
    u8 bytes[];
};

struct queue {
    struct ipc ipc;
    struct message *first;
    s64 sent, received, changed;
    u64 bytes, count, most;
    s32 sender, receiver;
};

/* uapi asm-generic/msgbuf.h: struct msqid64_ds */
struct queue_status {
    struct ipc_permissions permissions;
    s64 sent, received, changed;
    u64 bytes, count, most;
    s32 sender, receiver;
    u64 unused[2];
};
_Static_assert(sizeof(struct queue_status) == 120, "struct msqid64_ds");

struct queue_limits {
    s32 pool, map, size, queue_bytes, queues, segment_size, messages;
    u16 segments;
};

static struct ipc_table table = {.most = QUEUES};

static void put_rest(struct text *to, const struct ipc *ipc) {
    const struct queue *queue = (const struct queue *)ipc;
    text_put(to, " ");
    const struct ipc_column columns[] = {{queue->bytes, 10},           {queue->count, 10},
                                         {(u64)queue->sender, 5},      {(u64)queue->receiver, 5},
                                         IPC_OWNERS(ipc->permissions), {(u64)queue->sent, 10},
                                         {(u64)queue->received, 10},   {(u64)queue->changed, 10}};
    ipc_columns(to, columns, COUNT(columns));
}

static void put_rows(struct text *to) {
    ipc_rows(&table, to, put_rest);
}

long sys_msgget(long key, long flags) {
    struct ipc *found;
    long id = ipc_look(&table, key, flags, &found);
    if (id || found)
        return id;
    if (table.count >= table.most)
        return -ENOSPC;
    struct queue *made = heap_alloc(sizeof *made);
    if (!made)
        return -ENOMEM;
    sysv_rows[ROWS_OF_QUEUES] = put_rows;
    made->most = QUEUE_BYTES, made->changed = ipc_time();
    return ipc_add(&table, &made->ipc, key, flags);
}

static void free_queue(struct queue *queue) {
    while (queue->first) {
        struct message *gone = queue->first;
        queue->first = gone->next;
        heap_free(gone);
    }
    heap_free(queue);
}

/* A change was waited for: 0, or why to end. */
static long wait_for(struct queue *queue, long flags, const char *what) {
    if (flags & IPC_NOWAIT)
        return -EAGAIN;
    long error = ipc_wait(&queue->ipc, FOREVER, what);
    if (queue->ipc.gone && !queue->ipc.waiting)
        free_queue(queue);
    return error;
}

static bool fits(const struct queue *queue, u64 size) {
    return size + queue->bytes <= queue->most && queue->count < queue->most;
}

static void append(struct queue *queue, struct message *message) {
    struct message **last = &queue->first;
    while (*last)
        last = &(*last)->next;
    *last = message;
    queue->bytes += message->size, queue->count++;
    queue->sender = OWN_ID, queue->sent = ipc_time();
    park_changed(&queue->ipc);
}

long sys_msgsnd(long id, long from, long size, long flags) {
    s64 type = *(const s64 *)from;
    if ((u64)size > MOST_SIZE || (s32)id < 0 || type < 1)
        return -EINVAL;
    struct message *message = heap_alloc(sizeof *message + (u64)size);
    if (!message)
        return -ENOMEM;
    message->type = type, message->size = (u64)size;
    memcpy(message->bytes, (const u8 *)from + sizeof type, (u64)size);
    struct queue *queue = (struct queue *)ipc_of(&table, id);
    long error = queue ? 0 : -EINVAL;
    while (!error && !fits(queue, (u64)size))
        error = wait_for(queue, flags, "room in a message queue that nobody else reads");
    if (error)
        heap_free(message);
    else
        append(queue, message);
    return error;
}

/* The one that is wanted: of a type, the first of the lowest type up to -`type`, any. */
static struct message **find(struct queue *queue, s64 type, long flags) {
    struct message **found = NULL;
    s64 most = type == LOWEST ? -(LOWEST + 1) : -type;
    for (struct message **each = &queue->first; *each; each = &(*each)->next) {
        s64 own = (*each)->type;
        if (type < 0 && own <= most) {
            found = each, most = own - 1;
        } else if (type >= 0 && (!type || (own == type) != !!(flags & MSG_EXCEPT))) {
            return each;
        }
    }
    return found;
}

static struct message *take(struct queue *queue, struct message **at) {
    struct message *taken = *at;
    *at = taken->next;
    queue->bytes -= taken->size, queue->count--;
    queue->receiver = OWN_ID, queue->received = ipc_time();
    park_changed(&queue->ipc);
    return taken;
}

/* It is lost where it cannot be written, as on Linux. */
static long give(struct message *message, long to, u64 size) {
    size = MIN(size, message->size);
    *(s64 *)to = message->type;
    memcpy((u8 *)to + sizeof message->type, message->bytes, size);
    heap_free(message);
    return (long)size;
}

long sys_msgrcv(long id, long to, long size, long type, long flags) {
    if ((s32)id < 0 || size < 0)
        return -EINVAL;
    if (flags & MSG_COPY)
        return flags & MSG_EXCEPT || !(flags & IPC_NOWAIT) ? -EINVAL : -ENOSYS;
    struct queue *queue = (struct queue *)ipc_of(&table, id);
    struct message **found;
    if (!queue)
        return -EINVAL;
    while (!(found = find(queue, type, flags))) {
        long error = wait_for(queue, flags, "a message that nobody else sends");
        if (error)
            return error == -EAGAIN ? -ENOMSG : error;
    }
    if ((u64)size < (*found)->size && !(flags & MSG_NOERROR))
        return -E2BIG;
    return give(take(queue, found), to, (u64)size);
}

static long limits(long to, bool used) {
    struct queue_limits all = {.pool = QUEUES * (QUEUE_BYTES / 1024),
                               .map = QUEUE_BYTES,
                               .size = MOST_SIZE,
                               .queue_bytes = QUEUE_BYTES,
                               .queues = QUEUES,
                               .segment_size = 16,
                               .messages = QUEUE_BYTES,
                               .segments = 0xffff};
    if (used) {
        all.pool = (s32)table.count, all.map = all.messages = 0;
        for (const struct ipc *each = table.first; each; each = each->next) {
            all.map += (s32)((const struct queue *)each)->count;
            all.messages += (s32)((const struct queue *)each)->bytes;
        }
    }
    *(struct queue_limits *)to = all;
    return ipc_highest(&table);
}

static long tell(const struct queue *queue, long to, bool by_index) {
    if (!queue)
        return -EINVAL;
    *(struct queue_status *)to = (struct queue_status){.permissions = queue->ipc.permissions,
                                                       .sent = queue->sent,
                                                       .received = queue->received,
                                                       .changed = queue->changed,
                                                       .bytes = queue->bytes,
                                                       .count = queue->count,
                                                       .most = queue->most,
                                                       .sender = queue->sender,
                                                       .receiver = queue->receiver};
    return by_index ? ipc_id(&queue->ipc) : 0;
}

static long change(struct queue *queue, const struct queue_status *to) {
    queue->most = to->most;
    ipc_change(&queue->ipc, &to->permissions);
    queue->changed = ipc_time();
    park_changed(&queue->ipc);
    return 0;
}

long sys_msgctl(long id, long command, long argument) {
    if ((s32)id < 0 || (s32)command < 0)
        return -EINVAL;
    struct queue *queue = (struct queue *)ipc_of(&table, id);
    struct queue_status wanted = {0};
    switch ((s32)command) {
    case IPC_INFO:
    case MSG_INFO:
        return limits(argument, (s32)command == MSG_INFO);
    case MSG_STAT:
    case MSG_STAT_ANY:
        return tell((const struct queue *)ipc_at(&table, id), argument, true);
    case IPC_STAT:
        return tell(queue, argument, false);
    case IPC_SET:
        wanted = *(const struct queue_status *)argument;
        return queue ? change(queue, &wanted) : -EINVAL;
    case IPC_RMID:
        if (queue && ipc_remove(&table, &queue->ipc))
            free_queue(queue);
        return queue ? 0 : -EINVAL;
    default:
        return -EINVAL;
    }
}
