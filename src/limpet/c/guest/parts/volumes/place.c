/* Where a walk came to a volume: what is left of its path, and walking that name by name. */
#include "parts/volumes/volumes.h"

long place_path(const struct walked *place, char *path) {
    const char *rest = place->rest;
    u64 base = strlen(place->base);
    while (*rest == '/')
        rest++;
    u64 length = strlen(rest);
    if (base + length + 2 > VOLUME_PATH_MOST)
        return -ENAMETOOLONG;
    memcpy(path, place->base, base);
    if (base && length)
        path[base++] = '/';
    memcpy(path + base, rest, length + 1);
    if (!base && !length)
        memcpy(path, ".", 2);
    return 0;
}

static bool touched;

/* What was found there, or not, is in the program's memory: a start's folder can be another one. */
const char *volumes_unfit(void) {
    return touched ? "looked into a folder of the host's before its moment, and a start may have "
                     "another one there"
                   : NULL;
}

long path_open(u64 volume, const char *path, u64 way, u32 *mode) {
    struct volume_open block = {.volume = volume,
                                .path = (u64)path,
                                .size = strlen(path) + 1,
                                .way = way,
                                .look = mode != NULL};
    if (way >= HOW_WRITES)
        slots_settle();
    ahead_room(&block);
    volume_host.open(&block);
    if ((block.result == -EMFILE || block.result == -ENFILE) && slots_settle())
        volume_host.open(&block);
    ahead_came(&block);
    touched = true;
    if (mode)
        *mode = (u32)block.mode;
    return block.result;
}

long place_open(const struct walked *place, u64 way, u32 *mode) {
    static char path[VOLUME_PATH_MOST] LARGE;
    long error = place_path(place, path);
    return error ? error : path_open(place->volume, path, way, mode);
}

/* A walk by names: `clean` has neither links nor dots, `rest` of `left` is still to go. */
struct steps {
    char *clean, *left, *link; /* VOLUME_PATH_MOST bytes each */
    u64 length;
    const char *rest;
    enum last last;
    bool over, left_it; /* the walk, and it did so for the guest's tree */
};

static bool append(struct steps *steps, const char *name, u64 length) {
    u64 at = steps->length;
    if (at + length + 2 > VOLUME_PATH_MOST)
        return false;
    if (at)
        steps->clean[at++] = '/';
    memcpy(steps->clean + at, name, length);
    steps->length = at + length;
    steps->clean[steps->length] = 0;
    return true;
}

static void cut_last(struct steps *steps) {
    while (steps->length && steps->clean[steps->length - 1] != '/')
        steps->length--;
    steps->length -= steps->length ? 1 : 0;
    steps->clean[steps->length] = 0;
}

/* What the link at `clean` says, in `link`; 0: it is none. */
static long read_link(const struct walked *place, struct steps *steps) {
    u32 mode;
    long slot = path_open(place->volume, steps->clean, HOW_PATH | HOW_NO_FOLLOW, &mode);
    if (slot < 0)
        return slot;
    struct volume_link block = {
        .slot = (u64)slot, .address = (u64)steps->link, .length = VOLUME_PATH_MOST - 1};
    bool link = (mode & S_IFMT) == S_IFLNK;
    if (link)
        volume_host.link(&block);
    slot_leave((u64)slot);
    return link ? block.result : 0;
}

/* The link's text goes before what is left. */
static long splice(struct steps *steps, u64 size) {
    u64 length = strlen(steps->rest);
    if (size + length + 1 > VOLUME_PATH_MOST)
        return -ENAMETOOLONG;
    memmove(steps->left + size, steps->rest, length + 1);
    memcpy(steps->left, steps->link, size);
    steps->rest = steps->left;
    return 0;
}

/* Back in the guest's tree, with what is left; the walk there may come to a volume again. */
static long leave(struct walked *place, struct steps *steps, struct node *to) {
    char *kept = place->buffer[0];
    memcpy(kept, steps->rest, strlen(steps->rest) + 1);
    steps->over = steps->left_it = true;
    place->volume = 0;
    return walk_on(to, kept, steps->last, place);
}

/* Behind a name that was just appended. */
static long follow(struct walked *place, struct steps *steps, bool final) {
    long size = read_link(place, steps);
    if (size == -ENOENT && final && steps->last == LAST_FOLLOWED) {
        steps->over = true; /* nothing is there: it may be made */
        return 0;
    }
    if (size <= 0)
        return size;
    if (++place->links > MOST_LINKS)
        return -ELOOP;
    long error = splice(steps, (u64)size);
    if (!error && steps->left[0] == '/')
        return leave(place, steps, tree_root());
    cut_last(steps);
    return error;
}

static const char *skip_slashes(const char *path) {
    while (*path == '/')
        path++;
    return path;
}

static long step(struct walked *place, struct steps *steps) {
    const char *name = skip_slashes(steps->rest), *end = name;
    while (*end && *end != '/')
        end++;
    u64 length = (u64)(end - name);
    bool final = !*skip_slashes(end), named = final && steps->last == LAST_NAME;
    bool kept = final && !*end && steps->last == LAST_KEPT;
    steps->rest = end;
    if (named && length) { /* whatever name it is */
        steps->over = true;
        return append(steps, name, length) ? 0 : -ENAMETOOLONG;
    }
    if (!length || (length == 1 && *name == '.'))
        steps->over = !length;
    else if (length == 2 && name[0] == '.' && name[1] == '.' && !steps->length)
        return leave(place, steps, volume_node(place->volume)->parent);
    else if (length == 2 && name[0] == '.' && name[1] == '.')
        cut_last(steps);
    else if (!append(steps, name, length))
        return -ENAMETOOLONG;
    else if (kept)
        steps->over = true;
    else
        return follow(place, steps, final);
    return 0;
}

long place_resolve(struct walked *place, enum last last) {
    static char texts[3][VOLUME_PATH_MOST] LARGE;
    struct steps steps = {.clean = texts[0], .left = texts[1], .link = texts[2]};
    long error = place_path(place, steps.left);
    steps.clean[0] = 0, steps.rest = steps.left, steps.last = last;
    while (!error && !steps.over)
        error = step(place, &steps);
    if (error || steps.left_it)
        return error;
    char *kept = place->buffer[0];
    memcpy(kept, steps.clean, steps.length + 1);
    if (*steps.rest && steps.length + 2 <= VOLUME_PATH_MOST)
        memcpy(kept + steps.length, "/", 2); /* it ended in a slash, which counts */
    place->base = "", place->rest = kept, place->clean = true;
    return 0;
}
