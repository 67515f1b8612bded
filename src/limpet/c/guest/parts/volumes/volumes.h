/*
 * Volumes: folders of the host's.
 *
 * The tree has a folder in the place of each, and a walk that comes there hands over what is left
 * of the path.  Mostly the host's kernel walks all of it, and keeps below the folder.  Where it
 * says that a path leads out (EXDEV), the path is walked here name by name: a link to an absolute
 * path, or ".." above the top, leads back into the guest's own tree.
 */
#ifndef LIMPET_VOLUMES_H
#define LIMPET_VOLUMES_H

#include "parts/files/node.h"
#include "parts/volumes/reach.h"

enum { TELL_STAT = 0, TELL_ROOM = 1, TELL_PLACE = 2 };
enum { VOLUME_SIZE = 0 };

/* What an open file of a volume is; its path is one from the volume's top, as it was asked for. */
struct held {
    u64 slot;
    u64 volume;
    u32 mode;    /* 0: nobody has looked yet, see held_mode */
    bool locked; /* once; a lock ends when its file is closed */
    char path[];
};

u32 held_mode(struct held *held); /* file.c */
long held_stat(struct held *held, struct linux_stat *to);

static inline struct held *held_of(const struct file *file) {
    return file->object;
}

/* What it is, of S_IFMT. */
static inline u32 kind_of(struct held *held) {
    return held_mode(held) & S_IFMT;
}

static inline bool is_folder(struct held *held) {
    return kind_of(held) == S_IFDIR;
}

static inline const struct mft_entry *volume_entry(u64 volume) {
    return &((const struct manifest *)guest_info.devices)->entries[volume];
}

/* file.c */
extern const struct file_ops volume_ops;
long volume_tell(const struct held *held, u64 what, s64 offset, void *to, u64 size);

long volume_write_set(struct file *file, u64 what, u64 mode, s64 offset, s64 length);

/* place.c: the paths of a walk that came to a volume */
long place_path(const struct walked *place, char *path);         /* VOLUME_PATH_MOST bytes */
long place_open(const struct walked *place, u64 way, u32 *mode); /* NULL: nobody looks */
long path_open(u64 volume, const char *path, u64 way, u32 *mode);
long place_resolve(struct walked *place, enum last last); /* name by name */

/* ahead.c: on kvm, what was read as a file was opened, for the moment that follows */
void ahead_room(struct volume_open *block);
void ahead_came(const struct volume_open *block);
const void *ahead_stat(u64 slot);                      /* NULL: ask the host */
long ahead_read(u64 slot, void *to, u64 size, u64 at); /* -1: ask the host */

/* closing.c */
void slot_close(u64 slot);
void slot_leave(u64 slot); /* the same, a little later: of what is only read or named */
bool slots_settle(void);   /* now, then; whether there were any */

/* open.c */
long open_new(const struct walked *place, long flags, u32 wanted, u32 *mode);
long volumes_open(struct walked *place, bool follow, long flags, long mode);
long volumes_find(struct walked *place, enum last last);
void volumes_found(void); /* what was found last is not needed any more */

/* names.c */
bool owner_asked(const struct held *held, struct linux_stat *stat); /* where it is nobody's */
long volumes_name(const struct walked *place, const struct naming *what);
long volumes_change(const struct file *file, const struct naming *what);

/* lock.c */
long volumes_lock(const struct file *file, u64 what, struct linux_flock *range);
long volumes_pause(u64 looks);

/* mount.c */
struct node *volume_node(u64 volume);
void volumes_mount(struct node *root);
void volumes_moved(u64 volume, const char *from, const char *to);

#endif
