/* Opening below a volume: in ways that the host's side knows (contract/opening.py). */
#include "parts/volumes/volumes.h"

static bool writes(long flags) {
    return (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;
}

/* To read, or, with O_PATH, to name. */
static u64 reading_way(bool follow, long flags) {
    return (follow ? 0 : HOW_NO_FOLLOW) | (flags & O_DIRECTORY ? HOW_FOLDER : 0) |
           (flags & O_PATH ? HOW_PATH : 0);
}

/* With its path, which is written once: it is what is asked of the host, too. */
static long held_new(const struct walked *place, struct held **made) {
    struct held *held = heap_alloc(sizeof *held + strlen(place->base) + strlen(place->rest) + 3);
    long error = held ? place_path(place, held->path) : -ENOMEM;
    if (error)
        heap_free(held);
    else
        held->volume = place->volume, *made = held;
    return error;
}

/* An open file of what was opened there, or that error; `held` is the file's, or gone. */
static long file_of(struct held *held, long slot, u32 mode, u32 flags, struct file **file) {
    *file = slot < 0 ? NULL : file_new(&volume_ops, flags, held);
    held->slot = (u64)slot, held->mode = mode;
    if (*file)
        return 0;
    if (slot >= 0)
        slot_close((u64)slot);
    heap_free(held);
    return slot < 0 ? slot : -ENOMEM;
}

/* No devices, no pipes: what is open has bytes or names, or is only named. */
static long check_kind(u32 mode, long flags) {
    u32 kind = mode & S_IFMT;
    if (kind == S_IFDIR && flags & O_CREAT)
        return -EISDIR;
    if (!mode || kind == S_IFREG || kind == S_IFDIR || flags & O_PATH)
        return 0;
    return kind == S_IFCHR || kind == S_IFBLK ? -EACCES : -EOPNOTSUPP;
}

/* What would be wrong without it comes before a volume's being read-only. */
static long refuse_writing(const struct walked *place, bool follow, long flags) {
    u32 mode = 0;
    long slot = place_open(place, reading_way(follow, flags | O_PATH), &mode);
    if (slot == -ENOENT && flags & O_CREAT)
        return -EROFS;
    if (slot < 0)
        return slot;
    slot_leave((u64)slot);
    u32 kind = mode & S_IFMT;
    if (flags & O_CREAT && flags & O_EXCL)
        return -EEXIST;
    return kind == S_IFDIR ? -EISDIR : kind == S_IFLNK ? -ELOOP : -EROFS;
}

/* To write what is there. */
static u64 writing_way(bool follow, long flags) {
    return HOW_WRITES | (follow ? 0 : HOW_NO_FOLLOW) | (flags & O_TRUNC ? HOW_CUTS : 0) |
           ((flags & O_ACCMODE) == O_WRONLY ? 0 : HOW_READS_TOO);
}

/* A file that is there already. */
static long open_there(const struct walked *place, bool follow, long flags, u32 *mode) {
    if (flags & O_DIRECTORY && writes(flags)) {
        long slot = place_open(place, reading_way(follow, O_PATH | O_DIRECTORY), mode);
        if (slot >= 0)
            slot_leave((u64)slot);
        return slot < 0 ? slot : -EISDIR;
    }
    if ((flags & O_ACCMODE) == O_RDONLY && flags & O_TRUNC) {
        long slot = place_open(place, HOW_WRITES | HOW_CUTS | (follow ? 0 : HOW_NO_FOLLOW), mode);
        if (slot < 0)
            return slot;
        slot_close((u64)slot);
        return place_open(place, reading_way(follow, 0), mode);
    }
    return place_open(
        place, writes(flags) ? writing_way(follow, flags) : reading_way(follow, flags), mode);
}

/* Of a new file that has less than was asked for, where the program changes names. */
static void complete_mode(const struct walked *place, u32 wanted) {
    const struct naming what = {.what = NAME_MODE, .argument = wanted};
    if (boot_info.backend == BACKEND_KVM ? (bool)volume_host.name : (bool)volume_host.ask)
        volumes_name(place, &what);
}

/* With the most that lies within the mode that is asked for, and then with that. */
long open_new(const struct walked *place, long flags, u32 wanted, u32 *mode) {
    static const u8 accesses[] = {0, 1, 2, 2};
    u64 best = 0;
    for (u64 i = 0; i < HOW_MODES; i++)
        if (!(volume_modes[i] & ~wanted) && volume_modes[i] > (best ? volume_modes[best] : 0))
            best = i;
    long slot = place_open(place, HOW_NEW + 3 * best + accesses[flags & O_ACCMODE], mode);
    if (slot >= 0 && volume_modes[best] != wanted)
        complete_mode(place, wanted);
    return slot;
}

/* A link to nothing stands in the way of a new file: it is made where the link leads. */
static long make_or_open(struct walked *place, bool follow, long flags, u32 wanted, u32 *mode) {
    for (int tries = 0; tries < 8; tries++) {
        long slot = open_there(place, follow, flags, mode);
        if (slot != -ENOENT)
            return slot;
        slot = open_new(place, flags, wanted, mode);
        if (slot != -EEXIST)
            return slot;
        if (follow && !place->clean && tries)
            return -EXDEV; /* name by name from here on */
    }
    return -EAGAIN;
}

/* Whether it is looked at as it is opened: to be refused where it is a device or a pipe.  What is
 * only named is neither, and where the host opens no device, a pipe is refused when it is read. */
static bool looked_at(const struct walked *place, long flags) {
    return !(flags & O_PATH) && !volume_entry(place->volume)->no_devices;
}

static long open_slot(struct walked *place, const char *path, bool follow, long flags, u32 wanted,
                      u32 *mode) {
    bool read_only = volume_entry(place->volume)->read_only;
    if (flags & O_PATH || (!writes(flags) && !(flags & O_CREAT)))
        return path_open(place->volume, path, reading_way(follow, flags),
                         looked_at(place, flags) ? mode : NULL);
    if (read_only && (writes(flags) || flags & O_EXCL))
        return refuse_writing(place, follow, flags);
    if (!read_only && flags & O_CREAT)
        return flags & O_EXCL ? open_new(place, flags, wanted, mode)
                              : make_or_open(place, follow, flags, wanted, mode);
    long slot = open_there(place, follow, flags, mode);
    return slot == -ENOENT && read_only ? -EROFS : slot;
}

/* What a path names, open until the next one is looked for, or the guest waits. */
static struct file *passing;

void volumes_found(void) {
    if (passing)
        file_release(passing);
    passing = NULL;
}

long volumes_open(struct walked *place, bool follow, long flags, long mode) {
    u32 kept = (u32)flags & ~(u32)O_CLOEXEC, found = 0;
    struct held *held;
    struct file *file;
    if ((flags & O_TMPFILE) == O_TMPFILE)
        return -EOPNOTSUPP;
    volumes_found();
    long error = held_new(place, &held);
    if (error)
        return error;
    long slot = open_slot(place, held->path, follow, flags, masked(mode) & 0777, &found);
    if (slot == -EXDEV && !place->clean) {
        heap_free(held);
        error = place_resolve(place, follow ? LAST_FOLLOWED : LAST_KEPT);
        return error || !place->volume ? error : volumes_open(place, follow, flags, mode);
    }
    error = slot < 0 ? slot : check_kind(found, flags);
    if (error && slot >= 0)
        slot_close((u64)slot);
    error = file_of(held, error ? error : slot, found, flags & O_PATH ? kept : kept | O_LARGEFILE,
                    &file);
    return error ? error : fd_install(file, 0, flags & O_CLOEXEC);
}

long volumes_find(struct walked *place, enum last last) {
    struct held *held;
    volumes_found();
    long error = held_new(place, &held);
    if (error)
        return error;
    long slot =
        path_open(place->volume, held->path, reading_way(last == LAST_FOLLOWED, O_PATH), NULL);
    if (slot == -EXDEV && !place->clean) {
        heap_free(held);
        error = place_resolve(place, last);
        return error || !place->volume ? error : volumes_find(place, last);
    }
    place->node = NULL;
    error = file_of(held, slot, 0, O_PATH, &passing);
    place->file = passing;
    return error;
}
