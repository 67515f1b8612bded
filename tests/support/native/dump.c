/* For tests only: a library OS that says at exit what its file tree holds, a line on
 * standard error for each name: type and mode, size, FNV-1a of the content, path. */
#include "libos.h"
#include "linux.h"

long sys_openat(long directory, long path, long flags, long mode);
long sys_getdents64(long fd, long to, long size);
long sys_read(long fd, long to, long size);
long sys_close(long fd);
long sys_lstat(long path, long to);
long sys_readlink(long path, long to, long size);

static char path[4096], line[4200]; /* the root's path is "" */
static u8 content[16384];

static char *put_number(char *to, u64 value) {
    for (int shift = 60; shift >= 0; shift -= 4)
        *to++ = "0123456789abcdef"[value >> shift & 15];
    *to++ = ' ';
    return to;
}

static u64 hash(u64 state, const u8 *bytes, long size) {
    for (long i = 0; i < size; i++)
        state = (state ^ bytes[i]) * 0x100000001b3;
    return state;
}

static u64 hash_file(void) {
    u64 state = 0xcbf29ce484222325;
    long got, fd = sys_openat(AT_FDCWD, (long)path, O_RDONLY, 0);
    while ((got = sys_read(fd, (long)content, sizeof content)) > 0)
        state = hash(state, content, got);
    sys_close(fd);
    return state;
}

static void say_entry(u32 mode, u64 size, u64 digest) {
    char *to = put_number(put_number(put_number(line, mode), size), digest);
    u64 length = strlen(path);
    memcpy(to, path, length);
    to[length] = '\n';
    struct console_out block = {
        .fd = 2, .address = (u64)line, .length = (u64)(to + length + 1 - line)};
    hypercall_console_out(&block);
}

/* Folders that every guest has at its root, and that the packed tree here has not: the library OS
 * makes them (parts/world/standard.c). */
static bool is_standard(const char *name) {
    static const char *const names[] = {"dev", "etc", "proc", "run", "sys", "tmp"};
    for (u64 i = 0; i < COUNT(names); i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

static void walk(u64 end) {
    u8 stat[144], names[1024];
    if (sys_lstat((long)(end ? path : "/"), (long)stat) < 0)
        return;
    u32 mode = *(u32 *)(stat + 24), kind = mode & 0170000;
    u64 size = *(u64 *)(stat + 48);
    if (kind == 0100000)
        return say_entry(mode, size, hash_file());
    if (kind == 0120000)
        return say_entry(mode, size,
                         hash(0xcbf29ce484222325, content,
                              sys_readlink((long)path, (long)content, sizeof content)));
    say_entry(mode, 0, 0);
    long got, fd = sys_openat(AT_FDCWD, (long)(end ? path : "/"), O_RDONLY | 0200000, 0);
    while ((got = sys_getdents64(fd, (long)names, sizeof names)) > 0)
        for (long at = 0; at < got; at += *(u16 *)(names + at + 16)) {
            const char *name = (const char *)names + at + 19;
            if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])))
                continue;
            if (!end && is_standard(name))
                continue;
            u64 length = strlen(name);
            path[end] = '/';
            memcpy(path + end + 1, name, length + 1);
            walk(end + 1 + length);
            path[end] = 0;
        }
    sys_close(fd);
}

void dump_tree(void);
void dump_tree(void) {
    walk(0);
}
