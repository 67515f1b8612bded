/* Watches, and the events that wait to be read. */
#ifndef LIMPET_INOTIFY_H
#define LIMPET_INOTIFY_H

#include "parts/files/node.h"

enum {
    IN_UNMOUNT = 0x2000,
    IN_Q_OVERFLOW = 0x4000,
    IN_IGNORED = 0x8000,
    IN_ALL_EVENTS = 0xfff,
    IN_ONLYDIR = 0x1000000,
    IN_DONT_FOLLOW = 0x2000000,
    IN_EXCL_UNLINK = 0x4000000,
    IN_MASK_CREATE = 0x10000000,
    IN_MASK_ADD = 0x20000000,
};
#define IN_ONESHOT 0x80000000U

/* As read(2) gives it, but for the name. */
struct told {
    s32 wd;
    u32 mask, cookie, length;
};

struct event {
    struct event *next;
    struct told told;
    char name[]; /* told.length bytes, zeros at the end */
};

struct watch {
    struct watch *next;
    struct watcher_of_files *of;
    struct node *node;
    s32 wd;
    u32 mask;
};

struct watcher_of_files {
    struct file *file;
    struct watcher_of_files *next;
    struct event *first, *last;
    struct watch *watches;
    u64 count; /* of events */
    s32 last_wd;
};

extern struct watcher_of_files *watchers_of_files;
extern const struct file_ops inotify_ops;

void watch_end(struct watch *watch); /* and say so */
void watch_tell(struct watcher_of_files *to, s32 wd, u32 mask, const struct change *change);
void watches_look(const struct change *change);

#endif
