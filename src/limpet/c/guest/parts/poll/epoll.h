/*
 * An epoll: items, and the list of those that may be ready, as Linux keeps it (fs/eventpoll.c).
 *
 * Each item watches one open file, which tells it of every change (file_changed): what was told
 * since it was last reported is what an edge is.  A file that the host makes ready tells
 * nothing, but for sockets, and is looked at instead; so is another epoll, which may have such.
 *
 * Nothing here walks what is watched: thousands of idle connections cost their memory only.
 */
#ifndef LIMPET_EPOLL_H
#define LIMPET_EPOLL_H

#include "parts/poll/ready.h"

struct item {
    struct watcher watcher; /* of the file */
    struct epoll *epoll;
    struct item *next, **at; /* of the epoll; what leads to this one */
    struct item *next_ready, *previous_ready;
    u64 data;
    u64 reads; /* of the file, when it was last reported */
    s32 fd;
    u32 events;
    bool listed;   /* in the list of the ready */
    bool reported; /* ready since it was reported, as far as was seen: of what the host makes so */
    bool of_host;  /* a socket that the host makes ready: counted by the epoll */
};

struct epoll {
    struct file *file;
    struct item *items, *looked_at;   /* of files that tell, and of those that do not */
    struct item *first, *last;        /* those that may be ready, in the order they came */
    u64 of_host;                      /* how many of the items are */
    u32 (*poll)(struct epoll *epoll); /* epoll_poll */
};

extern const struct file_ops epoll_ops;

void epoll_list(struct item *item); /* at the end, unless it is there */
struct item *epoll_unlist_first(struct epoll *epoll);
void epoll_told(struct watcher *watcher, u32 events);
void epoll_add(struct item *item);
void epoll_weigh(struct item *item); /* whether the host makes it ready, which changes */
void epoll_remove(struct item *item);
u32 epoll_poll(struct epoll *epoll);
u32 epoll_item_ready(const struct item *item);
void epoll_look_outside(struct epoll *epoll); /* at what the host makes ready */

#define EPOLLEXCLUSIVE (1U << 28)
#define EPOLLWAKEUP (1U << 29)
#define EPOLLONESHOT (1U << 30)
#define EPOLLET (1U << 31)
#define EPOLL_PRIVATE (EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET)

#endif
