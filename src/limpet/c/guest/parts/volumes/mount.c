/* Where volumes are in the tree, and what the rest of the library OS asks of them. */
#include "parts/volumes/volumes.h"

static struct node *nodes[MAX_DEVICES + 1]; /* of each volume, by its place in the table */

struct node *volume_node(u64 volume) {
    return nodes[volume];
}

static struct node *folder_in(struct node *parent, const char *name, u64 length) {
    struct entry *entry = directory_find(parent, name, length);
    if (entry)
        return entry->node;
    struct node *node = node_new(S_IFDIR | 0755);
    if (!node || directory_add(parent, name, length, node))
        panic("no memory for a volume");
    return node;
}

void volumes_mount(struct node *root) {
    const struct manifest *devices = (const struct manifest *)guest_info.devices;
    for (u64 i = 1; i < devices->count; i++) {
        const char *path = devices->entries[i].name;
        struct node *at = root;
        if (devices->entries[i].type != DEVICE_VOLUME)
            continue;
        while (*path) {
            u64 length = 0;
            path++; /* the slash */
            while (path[length] && path[length] != '/')
                length++;
            at = folder_in(at, path, length);
            path += length;
        }
        at->device = DEVICE_MOUNT, at->standard = NULL, at->number = i;
        nodes[i] = at;
    }
}

static bool volumes_have(const struct file *file) {
    return file->ops == &volume_ops;
}

/* The working directory, where it is in a volume: a path from there. */
static struct {
    u64 volume;
    char path[VOLUME_PATH_MOST];
} cwd;

static bool volumes_start(const struct file *file, struct walked *place) {
    if (file && file->ops != &volume_ops)
        return false;
    place->volume = file ? held_of(file)->volume : cwd.volume;
    place->base = file ? held_of(file)->path : cwd.path;
    place->clean = false;
    return place->volume;
}

/* Of a path at or below one that was moved: where it is now; false: it is as it was. */
static bool moved_path(const char *path, const char *from, const char *to, char *now) {
    u64 cut = strlen(from), size = strlen(to), rest;
    while (path[0] == '.' && path[1] == '/') /* from the top as the working directory */
        path += 2;
    for (u64 i = 0; i < cut; i++)
        if (path[i] != from[i])
            return false;
    rest = strlen(path + cut);
    if ((rest && path[cut] != '/') || size + rest >= VOLUME_PATH_MOST)
        return false;
    memcpy(now, to, size);
    memcpy(now + size, path + cut, rest + 1);
    return true;
}

static void follow_moved(struct file *file, const char *path) {
    struct held *held = held_of(file), *moved = heap_alloc(sizeof *held + strlen(path) + 1);
    if (!moved)
        return;
    *moved = *held;
    memcpy(moved->path, path, strlen(path) + 1);
    file->object = moved;
    heap_free(held);
}

/* Open files and the working directory are known by their names: what the program moves itself is
 * followed, if it was opened by the same. */
void volumes_moved(u64 volume, const char *from, const char *to) {
    static char path[VOLUME_PATH_MOST] LARGE;
    for (long fd = 0; fd < fd_end(); fd++) {
        struct file *file = fd_get(fd);
        if (file && volumes_have(file) && held_of(file)->volume == volume &&
            moved_path(held_of(file)->path, from, to, path))
            follow_moved(file, path);
    }
    if (cwd.volume == volume && moved_path(cwd.path, from, to, path))
        memcpy(cwd.path, path, strlen(path) + 1);
}

/* A folder by a path without links: what getcwd tells. */
static long volumes_enter(const struct file *file, struct node **node) {
    struct walked place = {.buffer = walk_room()};
    if (!file) {
        cwd.volume = 0;
        return 0;
    }
    if (file->ops != &volume_ops || !is_folder(held_of(file)))
        return -ENOTDIR;
    place.volume = held_of(file)->volume, place.base = held_of(file)->path, place.rest = "";
    long error = place_resolve(&place, LAST_FOLLOWED);
    if (error || !place.volume)
        return error ? error : -ENOENT;
    cwd.volume = place.volume;
    *node = volume_node(place.volume);
    return place_path(&place, cwd.path);
}

/* What comes behind the volume's own path; NULL: the working directory is in none. */
static const char *volumes_cwd(void) {
    return cwd.volume ? cwd.path : NULL;
}

/* Without links where the host still has it there, else as it was asked for. */
static const char *volumes_path(const struct file *file, const struct node **top) {
    static char path[VOLUME_PATH_MOST] LARGE;
    struct walked place = {.buffer = walk_room()};
    struct held *held = held_of(file);
    enum last last = kind_of(held) == S_IFLNK ? LAST_KEPT : LAST_FOLLOWED;
    *top = volume_node(held->volume);
    place.volume = held->volume, place.base = held->path, place.rest = "";
    bool found = !place_resolve(&place, last) && place.volume == held->volume;
    return found && !place_path(&place, path) ? path : held->path;
}

static long volumes_link(const struct file *file, void *to, u64 size, bool itself) {
    static char text[VOLUME_PATH_MOST] LARGE;
    struct volume_link block = {
        .slot = held_of(file)->slot, .address = (u64)text, .length = sizeof text};
    if (kind_of(held_of(file)) != S_IFLNK)
        return itself ? -ENOENT : -EINVAL;
    volume_host.link(&block);
    if (block.result < 0)
        return block.result;
    size = MIN(size, (u64)block.result);
    memcpy(to, text, size);
    return (long)size;
}

static long volumes_may_change(const struct file *file) {
    return volume_entry(held_of(file)->volume)->read_only ? -EROFS : 0;
}

/* Nobody is given a file, but whose it is already; ~0 stays as it is. */
static long volumes_owner(const struct file *file, u32 user, u32 group) {
    struct held *held = held_of(file);
    struct linux_stat stat;
    if (volumes_may_change(file))
        return -EROFS;
    if (user == ~0U && group == ~0U)
        return 0;
    long error = held_stat(held, &stat);
    bool same = (user == ~0U || user == stat.uid) && (group == ~0U || group == stat.gid);
    return error ? error : same ? 0 : -EPERM;
}

/* truncate: what is open only to be named is opened to be written. */
static long volumes_resize(const struct file *file, u64 size) {
    struct held *held = held_of(file);
    const struct walked place = {.volume = held->volume, .base = held->path, .rest = ""};
    u32 mode = 0;
    if (is_folder(held))
        return -EISDIR;
    if (kind_of(held) != S_IFREG)
        return -EINVAL;
    if (volume_entry(held->volume)->read_only)
        return -EROFS;
    long slot = place_open(&place, HOW_WRITES, &mode);
    if (slot < 0)
        return slot;
    struct held opened = {.slot = (u64)slot};
    struct file writable = {.ops = &volume_ops, .object = &opened};
    long error = volume_ops.truncate(&writable, size);
    slot_close((u64)slot);
    return error;
}

static long volumes_room(const struct file *file, void *to, u64 size) {
    slots_settle();
    return volume_tell(held_of(file), TELL_ROOM, 0, to, size);
}

const struct volumes own_volumes = {
    .mount = volumes_mount,
    .start = volumes_start,
    .find = volumes_find,
    .open = volumes_open,
    .name = volumes_name,
    .resolve = place_resolve,
    .enter = volumes_enter,
    .cwd = volumes_cwd,
    .path = volumes_path,
    .have = volumes_have,
    .change = volumes_change,
    .may_change = volumes_may_change,
    .owner = volumes_owner,
    .resize = volumes_resize,
    .set = volume_write_set,
    .link = volumes_link,
    .room = volumes_room,
    .lock = volumes_lock,
    .pause = volumes_pause,
};
