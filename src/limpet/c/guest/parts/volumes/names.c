/* Names in a volume: made, removed and moved. */
#include "parts/volumes/volumes.h"

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
        slot_close((u64)slot);
    return MIN(slot, 0);
}

/* Linux looks for the folder first, and says EEXIST before EROFS. */
static long refuse(const struct walked *place, const struct naming *what) {
    char path[VOLUME_PATH_MOST];
    bool makes = what->what <= NAME_LINK || what->what == NAME_SAME;
    long error = parent_of(place, path);
    if (!error)
        error = there(place->volume, path, HOW_PATH | HOW_FOLDER);
    if (!error && makes && !place_path(place, path))
        error = there(place->volume, path, HOW_PATH | HOW_NO_FOLLOW) ? 0 : -EEXIST;
    return error ? error : volume_entry(place->volume)->read_only ? -EROFS : -EPERM;
}

long volumes_name(struct walked *place, const struct naming *what) {
    return refuse(place, what);
}
