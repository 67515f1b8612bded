/* Names in a volume: made, removed and moved. */
#include "parts/volumes/volumes.h"

#define RENAME_EXCHANGE 2

/* The folder that a path's last name is in, as far as it can be named. */
static long parent_of(const struct walked *place, char *path) {
    long error = place_path(place, path);
    u64 length = error ? 0 : strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    while (length && path[length - 1] != '/')
        length--;
    path[length] = 0;
    return error;
}

static long there(u64 volume, const char *path, u64 way) {
    const struct walked place = {.volume = volume, .base = path, .rest = ""};
    u32 mode;
    long slot = place_open(&place, way, &mode);
    if (slot >= 0)
        slot_leave((u64)slot);
    return MIN(slot, 0);
}

/* Linux looks for the folder first, and says EEXIST before EROFS. */
static long refuse(const struct walked *place, const struct naming *what) {
    static char path[VOLUME_PATH_MOST] LARGE;
    bool makes = what->what <= NAME_LINK || what->what == NAME_SAME;
    long error = parent_of(place, path);
    if (!error)
        error = there(place->volume, path, HOW_PATH | HOW_FOLDER);
    if (!error && makes && !place_path(place, path))
        error = there(place->volume, path, HOW_PATH | HOW_NO_FOLLOW) ? 0 : -EEXIST;
    return error ? error : -EROFS;
}

/* mknod of a regular file. */
static long make_file(const struct walked *place, u64 wanted) {
    u32 mode;
    long slot = open_new(place, O_WRONLY, (u32)wanted & 0777, &mode);
    if (slot >= 0)
        slot_close((u64)slot);
    return MIN(slot, 0);
}

/* A last name that no call takes, and what Linux says to it. */
static long check_last(const char *path, const struct naming *what) {
    u64 length = strlen(path);
    const char *last = path + length;
    while (last > path && last[-1] != '/')
        last--;
    if (strcmp(last, ".") && strcmp(last, ".."))
        return 0;
    switch (what->what) {
    case NAME_NOTHING:
        return -EISDIR;
    case NAME_NO_FOLDER:
        return last[1] ? -ENOTEMPTY : -EINVAL;
    case NAME_MOVED:
        return -EBUSY;
    default:
        return -EEXIST;
    }
}

static bool cut(char *path) {
    u64 length = strlen(path), whole = length;
    while (length > 1 && path[length - 1] == '/')
        path[--length] = 0;
    return length != whole;
}

/* A slash behind a name is for folders; the name is asked for without it. */
static long cut_slashes(u64 volume, char *path, const struct naming *what) {
    if (!cut(path) || what->what == NAME_FOLDER || what->what == NAME_NO_FOLDER)
        return 0;
    if (what->what == NAME_LINK || what->what == NAME_SAME)
        return -ENOENT;
    return there(volume, path, HOW_PATH | HOW_NO_FOLLOW | HOW_FOLDER);
}

/* What the host's side is asked, with the names behind it. */
struct naming_words {
    struct volume_ask ask;
    char names[VOLUME_NAMES_MOST];
};

/* Whoever is not root has a root of his own only where the host's kernel shows others as nobody: a
 * process outside is asked, by the name that the file was opened by.  If that has become another
 * file's, it is nobody's. */
#define NO_GROUP 0xffffffffUL /* but half of an error */

bool owner_asked(const struct held *held, struct linux_stat *stat) {
    static struct naming_words words LARGE;
    u64 size = strlen(held->path) + 1;
    if (stat->uid != (u32)boot_info.nobody && stat->gid != (u32)(boot_info.nobody >> 32))
        return false;
    memcpy(words.names, held->path, size);
    words.ask = (struct volume_ask){.what = OWNER_ASKED,
                                    .argument = (stat->mode & S_IFMT) == S_IFLNK,
                                    .volume = held->volume,
                                    .length = size,
                                    .file = {stat->ino, stat->dev}};
    volume_host.ask(&words.ask);
    u64 owner = (u64)words.ask.result;
    bool known = owner >> 32 != NO_GROUP;
    if (known)
        stat->uid = (u32)owner, stat->gid = (u32)(owner >> 32);
    return known;
}

static long ask_host(u64 volume, const struct naming *what, const u64 *file,
                     struct naming_words *words, u64 size) {
    struct volume_name block = {.what = what->what,
                                .argument = what->argument,
                                .volume = volume,
                                .address = (u64)words->names,
                                .length = size};
    struct volume_ask *ask = &words->ask;
    if (what->times)
        memcpy(block.times, what->times, sizeof block.times);
    if (file)
        memcpy(block.file, file, sizeof block.file);
    if (boot_info.backend == BACKEND_KVM) {
        volume_host.name(&block);
        return block.result;
    }
    ask->what = block.what, ask->argument = block.argument, ask->volume = volume;
    ask->length = size;
    memcpy(ask->times, block.times, sizeof ask->times);
    memcpy(ask->file, block.file, sizeof ask->file);
    volume_host.ask(ask);
    return ask->result;
}

/* Both paths behind one another, as the monitor takes them. */
static long put_names(const struct walked *place, const struct naming *what, char *names) {
    bool changes = what->what >= NAME_MODE;
    bool moves = what->what == NAME_MOVED && !(what->argument & RENAME_EXCHANGE);
    long error = place_path(place, names);
    bool folder = !error && moves && cut(names); /* what moves there has to be one */
    if (!error && !changes)
        error = cut_slashes(place->volume, names, what);
    if (!error && !changes)
        error = check_last(names, what);
    char *other = names + strlen(names) + 1;
    *other = 0;
    if (error || (!what->text && !what->other))
        return error;
    if (what->text) {
        memcpy(other, what->text, strlen(what->text) + 1);
        return 0;
    }
    error = place_path(what->other, other);
    if (!error)
        error = cut_slashes(place->volume, other, what);
    if (!error && folder)
        error = there(place->volume, other, HOW_PATH | HOW_NO_FOLLOW | HOW_FOLDER);
    return error ? error : check_last(other, what);
}

/* A filter cannot look at names: a kvm monitor does, or a process beside the guest's. */
static long name_of(const struct walked *place, const struct naming *what, const u64 *file) {
    static struct naming_words words LARGE;
    char *names = words.names;
    if (volume_entry(place->volume)->read_only)
        return refuse(place, what);
    if (what->what == NAME_FILE)
        return what->argument >> 12 == S_IFREG >> 12 ? make_file(place, what->argument) : -EPERM;
    long error = put_names(place, what, names);
    u64 first = strlen(names) + 1;
    slots_settle();
    if (!error)
        error = ask_host(place->volume, what, file, &words, first + strlen(names + first) + 1);
    if (!error && what->what == NAME_MOVED && !(what->argument & RENAME_EXCHANGE))
        volumes_moved(place->volume, names + first, names);
    return error;
}

long volumes_name(const struct walked *place, const struct naming *what) {
    return name_of(place, what, NULL);
}

/* The name that it was opened by stands for a file, as long as it is that one's. */
long volumes_change(const struct file *file, const struct naming *what) {
    struct held *held = held_of(file);
    const struct walked place = {.volume = held->volume, .base = held->path, .rest = ""};
    struct linux_stat stat;
    if (volume_entry(held->volume)->read_only)
        return -EROFS;
    long error = volume_tell(held, TELL_STAT, 0, &stat, sizeof stat);
    if (error)
        return error;
    bool link = (stat.mode & S_IFMT) == S_IFLNK;
    struct naming own = *what;
    if (own.what == NAME_MODE && link)
        return -EOPNOTSUPP;
    if (own.what == NAME_TIMES)
        own.argument = link ? HOW_NO_FOLLOW : 0;
    return name_of(&place, &own, (const u64[]){stat.ino, stat.dev});
}
