/* What was done to a file, told to who watches it or the directory that has its name. */
#include "parts/inotify/inotify.h"

enum { MOST_EVENTS = 16384, UNIT = 16 };

struct watcher_of_files *watchers_of_files;

static bool same(const struct event *last, const struct told *told, const struct change *change) {
    return last && last->told.wd == told->wd && last->told.mask == told->mask &&
           last->told.cookie == told->cookie && last->told.length == told->length &&
           !memcmp(last->name, change->name, change->length);
}

/* One that is like the last is the last; the one that is too many says so. */
void watch_tell(struct watcher_of_files *to, s32 wd, u32 mask, const struct change *change) {
    struct told told = {.wd = wd, .mask = mask, .cookie = change->cookie};
    if (change->length)
        told.length = (u32)ALIGN_UP(change->length + 1, UNIT);
    if (to->count > MOST_EVENTS || same(to->last, &told, change))
        return;
    if (to->count == MOST_EVENTS)
        told = (struct told){.wd = -1, .mask = IN_Q_OVERFLOW};
    struct event *event = heap_alloc(sizeof *event + told.length);
    if (!event)
        return;
    event->told = told;
    if (told.length)
        memcpy(event->name, change->name, change->length);
    if (to->last)
        to->last->next = event;
    else
        to->first = event;
    to->last = event;
    to->count++;
    file_changed(to->file, POLLIN);
}

static bool has_name(const struct node *directory, const struct node *node, struct change *named) {
    for (const struct entry *each = directory->first; each; each = each->next)
        if (each->node == node) {
            named->name = each->name, named->length = each->length;
            return true;
        }
    return false;
}

/* A watch of a directory hears of what is in it, by the name that it has there. */
static bool hears_of_name(const struct watch *watch, const struct change *change,
                          struct change *told) {
    *told = *change;
    if (change->directory)
        return watch->node == change->directory;
    return change->what & CHANGED_WITHIN && !change->alone && is_directory(watch->node) &&
           has_name(watch->node, change->node, told);
}

static void tell(struct watch *watch, const struct change *told) {
    bool itself = told->what & (CHANGED_GONE | CHANGED_PLACE);
    u32 folder = !itself && is_directory(told->node) ? CHANGED_FOLDER : 0;
    if (!(watch->mask & told->what & IN_ALL_EVENTS))
        return;
    watch_tell(watch->of, watch->wd, (told->what & IN_ALL_EVENTS) | folder, told);
    if (watch->mask & IN_ONESHOT)
        watch_end(watch);
}

static void tell_one(struct watcher_of_files *own, const struct change *change, bool by_name) {
    struct change told;
    for (struct watch *watch = own->watches, *next; watch; watch = next) {
        next = watch->next;
        if (by_name && hears_of_name(watch, change, &told))
            tell(watch, &told);
        else if (!by_name && !change->directory && watch->node == change->node)
            tell(watch, change);
    }
}

static void end_watches(struct watcher_of_files *own, const struct node *node) {
    for (struct watch *watch = own->watches, *next; watch; watch = next) {
        next = watch->next;
        if (watch->node == node)
            watch_end(watch);
    }
}

/* Its directory hears of it first. */
void watches_look(const struct change *change) {
    for (struct watcher_of_files *each = watchers_of_files; each; each = each->next) {
        tell_one(each, change, true);
        tell_one(each, change, false);
        if (change->what & CHANGED_GONE)
            end_watches(each, change->node);
    }
}
