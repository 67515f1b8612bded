/* /proc/PID/fd and fdinfo, and links that lead to what is open instead of to a path. */
#include "core/thread.h"
#include "parts/world/world.h"

#define LINK_SIZE 64 /* as Linux says, whatever the link's text is */

static u64 number_of(const struct entry *entry) {
    u64 number = 0;
    for (u64 i = 0; i < entry->length; i++)
        number = number * 10 + (u64)(entry->name[i] - '0');
    return number;
}

static void add(struct node *directory, u64 number, const struct file *file, bool info) {
    static const struct standard fd_info = MADE("", make_fd_info);
    struct standard as = {.mode = S_IFLNK | 0100, .device = DEVICE_DESCRIPTOR};
    struct text name = {0};
    text_number(&name, number);
    text_bytes(&name, "", 1);
    if (info)
        as = fd_info;
    else
        as.mode |= (readable(file) ? 0400 : 0) | (writable(file) ? 0200 : 0);
    as.name = name.bytes;
    struct node *node = name.cut ? NULL : standard_add(directory, &as, number);
    if (node && info)
        node->standard = &fd_info;
    else if (node)
        node->number = number, node->size = LINK_SIZE;
    heap_free(name.bytes);
}

/* As the descriptor table is now. */
void descriptors_load(struct node *directory, bool info) {
    u64 *there = heap_alloc((u64)fd_end() / 8);
    if (!there)
        return;
    for (struct entry *each = directory->first, *next; each; each = next) {
        u64 number = number_of(each);
        next = each->next;
        if (number < (u64)fd_end() && fd_get((long)number))
            there[number / 64] |= 1UL << number % 64;
        else
            directory_remove(directory, each);
    }
    for (u64 number = 0; number < (u64)fd_end(); number++) {
        const struct file *file = fd_get((long)number);
        if (file && !(there[number / 64] >> number % 64 & 1))
            add(directory, number, file, info);
    }
    heap_free(there);
}

/* What a link of /proc leads to: a node, or an open file that has none. */
long link_target(const struct node *link, struct node **node, struct file **file) {
    *file = NULL;
    if (link->device == DEVICE_CWD) {
        *node = working_directory();
        return 0;
    }
    if (link->device == DEVICE_THREAD_SELF) {
        *node = own_thread_folder();
        return *node ? 0 : -ENOENT;
    }
    *file = fd_get((long)link->number);
    if (!*file)
        return -ENOENT;
    *node = file_node(*file);
    if (*node)
        *file = NULL;
    return 0;
}

static void put_path(struct text *to, const struct node *node) {
    char path[PATH_MAX];
    const char *start = path_of(node, path);
    text_put(to, start ? start : "/ (deleted)");
}

static void put_volume(struct text *to, const struct file *file, const struct linux_stat *stat) {
    const struct node *top;
    const char *path = guest_volumes->path(file, &top);
    put_path(to, top);
    if (strcmp(path, ".") != 0) {
        text_put(to, "/");
        text_put(to, path);
    }
    if (!stat->nlink)
        text_put(to, " (deleted)");
}

static void put_nameless(struct text *to, struct file *file, u64 number) {
    struct linux_stat stat = {0};
    file->ops->stat(file, &stat);
    switch (stat.mode & S_IFMT) {
    case S_IFIFO:
        text_put(to, "pipe:[");
        break;
    case S_IFSOCK:
        text_put(to, "socket:[");
        break;
    case S_IFCHR:
        text_put(to, stat.rdev == PTS_NUMBER ? "/dev/pts/0" : "/dev/null");
        return;
    case 0:
        text_put(to, "anon_inode:[");
        break;
    default: /* the host's file, whose name is not told */
        if (of_volume(file)) {
            put_volume(to, file, &stat);
            return;
        }
        text_put(to, "host:[");
        stat.ino = number;
    }
    text_number(to, stat.ino);
    text_put(to, "]");
}

/* readlink of such a link. */
long link_text(const struct node *link, void *to, u64 size) {
    struct text text = {0};
    struct node *node;
    struct file *file;
    long error = link_target(link, &node, &file);
    if (error)
        return error;
    if (link->device == DEVICE_THREAD_SELF) {
        text_put(&text, "1/task/");
        text_number(&text, (u64)current->id);
    } else if (node)
        put_path(&text, node);
    else
        put_nameless(&text, file, link->number);
    size = MIN(size, text.used);
    memcpy(to, text.bytes, size); /* a bad pointer ends here and loses the text */
    heap_free(text.bytes);
    return text.cut ? -ENOMEM : (long)size;
}

void make_fd_info(struct text *to, u64 number) {
    struct file *file = fd_get((long)number);
    if (!file)
        return;
    const struct node *node = file_node(file);
    text_put(to, "pos:\t");
    text_number(to, file->position);
    text_put(to, "\nflags:\t0");
    text_octal(to, file->flags);
    text_put(to, "\nmnt_id:\t20\nino:\t");
    text_number(to, node ? node->ino : number + 1);
    text_put(to, "\n");
}
