/*
 * What a program finds at fixed paths whether or not its tree has it.
 *
 * A folder's names stand in a table and become nodes when the program first looks into the
 * folder; what the packed tree has itself stays as it is.  What a file of /proc says is made
 * when it is read.
 */
#ifndef LIMPET_WORLD_H
#define LIMPET_WORLD_H

#include "parts/files/node.h"
#include "parts/system/name.h"
#include "parts/world/text.h"

struct standard {
    const char *name; /* NULL ends a table */
    u32 mode;
    enum device device;
    const char *text;              /* a link's target, a file's content */
    u64 size;                      /* of the text, its end not counted; where there is neither
                                    * text nor `make`, whether its UUID is made only once */
    const struct standard *folder; /* its names */
    void (*make)(struct text *to, u64 number);
    long (*set)(const char *bytes, u64 size, u64 number); /* where it can be written */
};

#define FOLDER(name_, mode_, folder_) {.name = name_, .mode = S_IFDIR | (mode_), .folder = folder_}
#define LINK(name_, target)                                                                        \
    {.name = name_, .mode = S_IFLNK | 0777, .text = target, .size = sizeof(target) - 1}
#define FILE(name_, content)                                                                       \
    {.name = name_, .mode = S_IFREG | 0644, .text = content, .size = sizeof(content) - 1}
#define FIXED(name_, content)                                                                      \
    {.name = name_,                                                                                \
     .mode = S_IFREG | 0444,                                                                       \
     .device = DEVICE_SYNTHETIC,                                                                   \
     .text = content,                                                                              \
     .size = sizeof(content) - 1}
#define RANDOM(name_, once)                                                                        \
    {.name = name_, .mode = S_IFREG | 0444, .device = DEVICE_SYNTHETIC, .size = once}
#define MADE(name_, make_)                                                                         \
    {.name = name_, .mode = S_IFREG | 0444, .device = DEVICE_SYNTHETIC, .make = make_}
#define SET(name_, make_, set_)                                                                    \
    {.name = name_, .mode = S_IFREG | 0644, .device = DEVICE_SYNTHETIC, .make = make_, .set = set_}
#define SPECIAL(name_, mode_, device_) {.name = name_, .mode = mode_, .device = device_}

extern const struct standard dev_names[], etc_names[], proc_names[], process_names[], sys_names[],
    sysvipc_names[], thread_names[];
struct node *standard_add(struct node *parent, const struct standard *from, u64 number);

/* dev.c, descriptors.c, threads.c: names that are not known beforehand */
void dev_load(struct node *directory);
void pts_load(struct node *directory);
void threads_load(struct node *directory);
struct node *own_thread_folder(void);
struct thread *thread_numbered(u64 number); /* or the one that runs */
void descriptors_load(struct node *directory, bool info);

/* process.c, memory.c, machine.c: what the files say */
void make_process_stat(struct text *to, u64 number);
void make_status(struct text *to, u64 number);
void make_statm(struct text *to, u64 number);
void make_maps(struct text *to, u64 number);
void make_command_line(struct text *to, u64 number);
void make_environment(struct text *to, u64 number);
void make_auxv(struct text *to, u64 number);
void make_limits(struct text *to, u64 number);
void make_fd_info(struct text *to, u64 number);
void make_cpuinfo(struct text *to, u64 number);
void make_meminfo(struct text *to, u64 number);
void make_stat(struct text *to, u64 number);
void make_uptime(struct text *to, u64 number);
void make_partitions(struct text *to, u64 number);

/* Pages of memory that there are. */
u64 memory_pages(void);

long sys_brk(long wanted);
long sys_getrlimit(long resource, long to);

#define TEXT_SECONDS(to, nanoseconds)                                                              \
    (text_number(to, (u64)(nanoseconds) / NANOSECONDS), text_put(to, "."),                         \
     text_zeros(to, (u64)(nanoseconds) % NANOSECONDS / 10000000, 2))

#endif
