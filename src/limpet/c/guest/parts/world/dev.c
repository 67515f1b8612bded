/* /dev: what every Linux program counts on, and the plan's devices. */
#include "parts/snapshot/snapshot.h"
#include "parts/terminals/reach.h"
#include "parts/world/world.h"

static const struct standard none[] = {{0}};

const struct standard dev_names[] = {
    SPECIAL("null", S_IFCHR | 0666, DEVICE_NULL),
    SPECIAL("zero", S_IFCHR | 0666, DEVICE_ZERO),
    SPECIAL("full", S_IFCHR | 0666, DEVICE_FULL),
    SPECIAL("random", S_IFCHR | 0666, DEVICE_RANDOM),
    SPECIAL("urandom", S_IFCHR | 0666, DEVICE_RANDOM),
    SPECIAL("tty", S_IFCHR | 0666, DEVICE_TTY),
    SPECIAL("console", S_IFCHR | 0620, DEVICE_CONSOLE),
    LINK("fd", "/proc/self/fd"),
    LINK("stdin", "/proc/self/fd/0"),
    LINK("stdout", "/proc/self/fd/1"),
    LINK("stderr", "/proc/self/fd/2"),
    FOLDER("shm", 01777, none),
    {.name = "pts", .mode = S_IFDIR | 0755, .device = DEVICE_TERMINALS, .folder = none},
    {0},
};

static void add_disk(struct node *dev, const char *name, u64 number) {
    const struct standard disk = SPECIAL(name, S_IFBLK | 0660, DEVICE_DISK);
    struct node *node = standard_add(dev, &disk, 0);
    if (node)
        node->capacity = number;
}

static const struct standard ptmx = SPECIAL("ptmx", S_IFCHR | 0666, DEVICE_PTMX);

/* Block devices by their names, networks behind one file, and where a program says that its
 * moment has come. */
void dev_load(struct node *dev) {
    static const struct standard tun[] = {SPECIAL("tun", S_IFCHR | 0666, DEVICE_TUN), {0}};
    static const struct standard net = FOLDER("net", 0755, tun);
    const struct manifest *devices = (const struct manifest *)guest_info.devices;
    for (u64 i = 1; block_device_ops && i < devices->count; i++)
        if (devices->entries[i].type == DEVICE_BLOCK)
            add_disk(dev, devices->entries[i].name, i);
    if (net_device_ops)
        standard_add(dev, &net, 0);
    if (guest_terminals)
        standard_add(dev, &ptmx, 0);
    if (guest_snapshot)
        standard_add(dev, guest_snapshot->folder, 0);
}

/* /dev/pts/0 is the host's terminal, where a standard descriptor is one. */
void pts_load(struct node *pts) {
    static const struct standard terminal = SPECIAL("0", S_IFCHR | 0620, DEVICE_PTS);
    bool any = false;
    if (guest_terminals)
        standard_add(pts, &ptmx, 0);
    for (u64 fd = 0; fd < 3; fd++)
        any |= boot_info.stdio[fd].is_tty;
    if (any)
        standard_add(pts, &terminal, 0);
}
