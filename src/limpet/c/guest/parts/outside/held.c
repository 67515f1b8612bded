/* What came with an event: the read that follows it asks nobody. */
#include "parts/outside/batch.h"

struct room {
    s64 size;
    u8 bytes[SOCKET_ROOM - sizeof(s64)];
};

static struct room rooms[2][SOCKET_EVENTS_MOST] LARGE;
static u32 in_use[2]; /* by connections that have not read all of it */
static u32 taken;     /* which were given last */

/* While something lies in a row of them nothing new may. */
void held_rooms(struct socket_batch *block) {
    taken = in_use[0] != 0;
    block->rooms = in_use[taken] ? 0 : (u64)rooms[taken];
}

void held_take(struct socket *socket, struct link *link, u64 index) {
    const struct room *room = &rooms[taken][index];
    s64 size = room->size;
    if (size == SOCKET_NOT_TAKEN)
        return;
    link_was_read(link, size, sizeof room->bytes);
    link->ended = !size;
    if (size > 0) {
        link->held[link->held[0].at != NULL] = (struct held){room->bytes, (u64)size};
        in_use[taken]++;
    } else if (size < 0 && size != -EAGAIN) {
        socket->error = (s32)-size;
    }
}

static void drop_first(struct link *link) {
    in_use[link->held[0].at >= (const u8 *)rooms[1]]--;
    link->held[0] = link->held[1];
    link->held[1] = (struct held){NULL, 0};
}

void held_drop(struct link *link) {
    while (link->held[0].at)
        drop_first(link);
}

void held_renew(void) {
    in_use[0] = in_use[1] = 0;
}

void held_give(struct link *link, struct message *message) {
    bool looks = message->flags & MSG_PEEK;
    for (u64 i = 0; i < COUNT(link->held) && link->held[i].at && message->done < message->size;) {
        struct held *each = &link->held[i];
        u64 size = MIN(each->size, message->size - message->done);
        message_put(message, each->at, size);
        if (looks) {
            i++;
            continue;
        }
        each->at += size, each->size -= size;
        if (!each->size)
            drop_first(link);
    }
}
