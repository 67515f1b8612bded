/* The file tree: nodes (files, directories, links) and the names they have. */
#ifndef LIMPET_NODE_H
#define LIMPET_NODE_H

#include "libos.h"
#include "linux.h"
#include "parts/files/changes.h"
#include "parts/files/users.h"
#include "parts/fd/fd.h"
#include "tree_format.h" /* generated: what limpet.tree packs */

struct node;

/* A name in a directory.  Entries stand in the order they came, and `cookie` tells
 * getdents where it was, whatever happened in between. */
struct entry {
    struct entry *next;
    struct node *node;
    u64 cookie;
    u32 length;
    char name[];
};

enum device {
    NOT_A_DEVICE,
    DEVICE_NULL,
    DEVICE_ZERO,
    DEVICE_FULL,
    DEVICE_RANDOM,
    DEVICE_TTY,
    DEVICE_DISK,
    DEVICE_TUN,
    DEVICE_CONSOLE,
    DEVICE_PTS,
    DEVICE_PTMX,
    DEVICE_PTY, /* its number is the node's capacity */
    /* what parts/world adds: files that are made when they are read, links that lead to what is
     * open or to the program, folders whose standard names are added when they are looked into */
    DEVICE_SYNTHETIC,
    DEVICE_PROGRAM,
    DEVICE_DESCRIPTOR,
    DEVICE_CWD,
    DEVICE_THREAD_SELF,
    DEVICE_FOLDER,
    DEVICE_NODES,
    DEVICE_TERMINALS,
    DEVICE_THREADS,
    DEVICE_FDS,
    DEVICE_FD_INFO,
    DEVICE_MOUNT /* a volume is there */
};

/* Pages of a file that lie in a row, since they are mapped shared. */
struct extent {
    struct extent *next;
    u64 first, count; /* pages of the file */
    u64 at;
};

/* What few files have. */
struct extras {
    struct attribute *attributes;                   /* xattr.c */
    void (*drop_attributes)(struct extras *extras); /* NULL until there is one */
    struct pipe *pipe;                              /* of a named one that is open */
    struct socket *socket;                          /* that has this name */
};

enum {
    F_SEAL_SEAL = 1,
    F_SEAL_SHRINK = 2,
    F_SEAL_GROW = 4,
    F_SEAL_WRITE = 8,
    F_SEAL_FUTURE_WRITE = 0x10,
    F_SEAL_EXEC = 0x20,
    SEALABLE = 0x40, /* memfd_create made it */
    LINKABLE = 0x80  /* O_TMPFILE did: it may get a first name */
};

struct node {
    u32 mode, uid, gid, links;
    u32 ino, references; /* open files, working directories, and those whose parent it is */
    enum device device;
    u32 seals; /* SEALABLE and F_SEAL_*; LINKABLE */
    u64 size;
    s64 accessed, modified, changed;  /* nanoseconds since 1970 */
    const struct tree_record *packed; /* children not read in yet, or content not copied yet */
    /* directories */
    struct node *parent;
    struct entry *first, *last;
    /* files: one small buffer, or chunks; symbolic links: their target */
    u8 *small;
    union {
        u64 capacity; /* of a block device: which */
        const struct standard *standard;
    };
    u8 **chunks; /* and behind them, for each, which of its pages were written */
    union {
        u64 chunk_count;
        u64 number; /* of the descriptor or process that it tells of */
    };
    struct extent *extents; /* where the content lies instead; none overlaps another */
    struct extras *extras;  /* or NULL */
    u64 held;               /* pages that were written; those of the small buffer: */
    u16 written;
};

/* parts/world */
void standard_root(struct node *root);
void standard_load(struct node *directory);
bool of_tree(const struct file *file);     /* its object is a node */
struct node *file_node(struct file *file); /* what it is in the tree, or NULL */
long link_target(const struct node *link, struct node **node, struct file **file);
long link_text(const struct node *link, void *to, u64 size);

/* nodes.c */
struct node *tree_root(void);
struct node *node_new(u32 mode);
struct extras *node_extras(struct node *node); /* made when there are none; NULL: no memory */
void node_release(struct node *node);          /* frees it when nothing names or uses it */
struct entry *directory_find(struct node *directory, const char *name, u64 length);
long directory_add(struct node *directory, const char *name, u64 length, struct node *node);
void directory_adopt(struct node *directory, struct node *node); /* ".." of node leads there */
void directory_remove(struct node *directory, struct entry *entry);
void directory_load(struct node *directory);
const u8 *packed_bytes(const struct node *node);
u64 packed_inode_count(void);
u32 node_links(struct node *node); /* as stat tells it */

/* content.c */
long content_read(struct node *node, void *to, u64 size, u64 at);
const u8 *content_packed(const struct node *node, u64 at, u64 *size); /* NULL: not in one piece */
long content_write(struct node *node, const void *from, u64 size, u64 at);
long content_resize(struct node *node, u64 size);
void content_free(struct node *node);
long content_make_own(struct node *node, const u8 *same, u64 size, u64 at); /* unless it is that */
long content_keep(struct node *node, const u8 *from, u64 size, u64 at);
void content_give_back(struct node *node, u64 at, u64 size); /* what lies elsewhere now */

/* holes.c */
static inline u16 *chunk_words(struct node *node) {
    return (u16 *)(node->chunks + node->chunk_count);
}
void pages_hold(struct node *node, u64 at, u64 size);    /* bytes that are written */
void pages_drop(struct node *node, u64 first, u64 end);  /* pages, none of which is any more */
long content_next(struct node *node, u64 at, bool data); /* or a hole, from there on */
s64 content_blocks(const struct node *node);

/* extents.c */
u8 *extent_bytes(const struct node *node, u64 at, u64 *size); /* NULL: none for `size` bytes */
void extent_use(const u8 *at, u64 size, u64 rights, bool begins);
void extents_clear(struct node *node, u64 from, u64 to);
void extents_longer(struct node *node, u64 size); /* before the file is */
void extents_free(struct node *node);
long extent_map(struct node *node, const struct mapping_wish *wish);
void extents_unmap(struct node *node, u64 first, u64 count);

/* walk.c */
struct walked {
    struct node *parent; /* the directory that has, or would have, the name */
    const char *name;
    u64 length;
    struct node *node;   /* NULL when there is none */
    bool directory_only; /* the path ended in a slash */
    struct file *file;   /* what a link of /proc leads to, where that is no node: node is NULL */
    int links;           /* that were followed so far */
    /* Where `volume` is not 0, the walk came to a volume and the rest is not of the tree: a path
     * behind another, which starts there; `clean` where no name of both can be a link. */
    u64 volume;
    const char *base, *rest;
    bool clean;
    char (*buffer)[PATH_MAX]; /* two, from walk_room */
};

#define MOST_LINKS 40

/* The last name of a path: its link is followed, or stays what is found (unless a slash
 * comes after it), or the name alone counts and may be too long to exist. */
enum last { LAST_FOLLOWED, LAST_KEPT, LAST_NAME };

enum {
    RESOLVE_NO_XDEV = 1,
    RESOLVE_NO_MAGICLINKS = 2,
    RESOLVE_NO_SYMLINKS = 4,
    RESOLVE_BENEATH = 8,
    RESOLVE_IN_ROOT = 0x10,
    RESOLVE_CACHED = 0x20,
    RESOLVE_FLAGS = 0x3f
};

void walk_bounded(u32 resolve); /* the walks that follow, until it is called with 0 */
char (*walk_room(void))[PATH_MAX];
long walk(long directory, const char *path, enum last last, struct walked *out);
long walk_on(struct node *at, const char *path, enum last last, struct walked *out);
long walk_to(long directory, const char *path, bool follow, struct node **node);
long walk_to_file(long from, const char *path, bool follow, struct node **node, struct file **file);
struct node *working_directory(void);
char *path_of(const struct node *node, char *path); /* PATH_MAX bytes; NULL: it has no name */

/* What is to be done to a name in a volume. */
enum {
    NAME_FOLDER,    /* make one; `argument`: its mode */
    NAME_FILE,      /* make one; its kind and mode */
    NAME_LINK,      /* a symbolic one, to `text` */
    NAME_NOTHING,   /* remove what is no folder */
    NAME_NO_FOLDER, /* or what is one */
    NAME_SAME,      /* another name of `other` */
    NAME_MOVED,     /* the name of `other`; RENAME_* */
    NAME_MODE,      /* of what is there */
    NAME_TIMES      /* the same; whether of a link itself */
};
enum { VOLUME_ROOM = 1, VOLUME_DURABLE = 2, VOLUME_BYTES_DURABLE = 3 };
struct naming {
    u32 what;
    u64 argument;
    const char *text;
    const struct walked *other;
    const struct linux_timespec *times;
};

/* parts/volumes: folders of the host's; generated: NULL where the plan has none */
struct linux_flock;
struct volumes {
    void (*mount)(struct node *root);
    bool (*start)(const struct file *file, struct walked *place); /* NULL: working directory */
    long (*find)(struct walked *place, enum last last);           /* a file, or back in the tree */
    long (*open)(struct walked *place, bool follow, long flags, long mode); /* or as well */
    long (*name)(const struct walked *place, const struct naming *what);
    long (*resolve)(struct walked *place, enum last last);      /* to where no name is a link */
    long (*enter)(const struct file *file, struct node **node); /* NULL: leave */
    const char *(*cwd)(void);
    const char *(*path)(const struct file *file, const struct node **top); /* from there */
    bool (*have)(const struct file *file);
    long (*change)(const struct file *file, const struct naming *what);
    long (*may_change)(const struct file *file); /* -EROFS: below one that is only read */
    long (*owner)(const struct file *file, u32 user, u32 group);
    long (*resize)(const struct file *file, u64 size); /* by a name */
    long (*set)(struct file *file, u64 what, u64 mode, s64 offset, s64 length);
    long (*link)(const struct file *file, void *to, u64 size, bool itself);     /* readlink */
    long (*room)(const struct file *file, void *to, u64 size);                  /* struct statfs */
    long (*lock)(const struct file *file, u64 what, struct linux_flock *range); /* LOCK_* */
    long (*pause)(u64 looks); /* before the next look whether another program has unlocked */
};
extern const struct volumes *const guest_volumes;

static inline bool of_volume(const struct file *file) {
    return guest_volumes && guest_volumes->have(file);
}

u32 masked(long mode); /* open.c */

/* attributes.c */
#define AT_FLAGS (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) /* of newer calls; any other is an error */
long node_at(long directory, long path, long flags, struct node **node, struct file **file);
long without_node(struct file *file, const struct naming *what); /* changing what it has */

/* Opens a named pipe; NULL until one is made (parts/pipes). */
extern long (*open_fifo)(struct node *node, long flags);
long fifo_open(struct node *node, long flags);
/* file.c */
long open_node(struct node *node, const struct file_ops *ops, long flags);
extern const struct file_ops regular_ops, directory_ops, device_ops, synthetic_ops;
long regular_control(struct file *file, u32 command, long argument); /* seals.c */
long file_stat(struct file *file, struct linux_stat *to);
void file_close(struct file *file);
long node_stat(struct node *node, struct linux_stat *to);
long node_resize(struct node *node, u64 size); /* within RLIMIT_FSIZE */
void touch_modified(struct node *node);
void touch_accessed(struct node *node);

/* names.c: a node for a new name. */
long make_named(long directory, const char *path, u32 mode, struct node **node);
long sys_unlink(long path);

/* A name came or went. */
static inline void name_changed(const struct walked *walked, struct node *node, u32 what,
                                u32 cookie) {
    if (node_watched)
        node_watched(&(struct change){node, what, cookie, walked->parent, walked->name,
                                      walked->length, false});
}

static inline bool is_dot(const struct walked *walked) {
    return walked->name[0] == '.' &&
           (walked->length == 1 || (walked->length == 2 && walked->name[1] == '.'));
}

static inline bool is_directory(const struct node *node) {
    return (node->mode & S_IFMT) == S_IFDIR;
}

static inline bool is_link(const struct node *node) {
    return (node->mode & S_IFMT) == S_IFLNK;
}

/* With content of its own. */
static inline bool is_regular(const struct node *node) {
    return (node->mode & S_IFMT) == S_IFREG && !node->device;
}

#endif
