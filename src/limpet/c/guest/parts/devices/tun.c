/* /dev/net/tun: the plan's networks are the interfaces that there are.  A descriptor gets
 * one with TUNSETIFF, and then a frame for each read and write, as from a TAP interface. */
#include "core/park.h"
#include "parts/files/node.h"

struct ifreq {
    char name[16];
    union {
        u16 flags;
        s32 number;
        struct {
            u16 family;
            u8 bytes[6];
        } address;
        u8 pad[24];
    } u;
};

enum {
    IFF_TAP = 2,
    IFF_NO_PI = 0x1000,
    ARPHRD_ETHER = 1,
    SIOCGIFMTU = 0x8921,
    SIOCGIFHWADDR = 0x8927
};
#define TUNSETIFF 0x400454caUL
#define TUNSETPERSIST 0x400454cbUL
#define TUNSETOFFLOAD 0x400454d0UL
#define TUNGETFEATURES 0x800454cfUL
#define TUNGETIFF 0x800454d2UL

static const struct mft_entry *entry_at(u64 handle) {
    return &((const struct manifest *)guest_info.devices)->entries[handle];
}

/* The network of that name; an empty one, or "tap%d", is the first. */
static u64 find_network(const char *name) {
    u64 size = 0;
    bool any = !name[0];
    for (; size < 16 && name[size]; size++)
        any |= name[size] == '%';
    for (u64 i = 1; i < ((const struct manifest *)guest_info.devices)->count; i++) {
        const char *own = entry_at(i)->name;
        bool same = strlen(own) == size && !memcmp(own, name, size);
        if (entry_at(i)->type == DEVICE_NET && (any || same))
            return i;
    }
    return 0;
}

static void tell(const struct file *file, struct ifreq *to) {
    memset(to->name, 0, sizeof to->name);
    memcpy(to->name, entry_at(file->extra)->name, strlen(entry_at(file->extra)->name));
}

static long attach(struct file *file, struct ifreq *request) {
    if (file->extra)
        return -EEXIST;
    if (request->u.flags != (IFF_TAP | IFF_NO_PI)) /* neither TUN nor headers before frames */
        return -EINVAL;
    u64 handle = find_network(request->name);
    if (!handle)
        return -EPERM; /* as for anybody who may not make interfaces */
    file->extra = handle;
    tell(file, request);
    return 0;
}

static long tun_ioctl(struct file *file, u64 request, u64 argument) {
    struct ifreq *about = (struct ifreq *)argument;
    if (request == TUNGETFEATURES) {
        *(u32 *)argument = IFF_TAP | IFF_NO_PI;
        return 0;
    }
    if (request == TUNSETIFF)
        return attach(file, about);
    if (!file->extra)
        return -EBADFD;
    const struct mft_entry *entry = entry_at(file->extra);
    switch (request) {
    case TUNSETPERSIST:
        return 0;
    case TUNSETOFFLOAD:
        return argument ? -EINVAL : 0;
    case TUNGETIFF:
        tell(file, about);
        about->u.flags = IFF_TAP | IFF_NO_PI;
        return 0;
    case SIOCGIFHWADDR:
        about->u.address.family = ARPHRD_ETHER;
        memcpy(about->u.address.bytes, &entry->capacity, 6);
        return 0;
    case SIOCGIFMTU:
        about->u.number = (s32)(entry->capacity >> 48);
        return 0;
    default:
        return -ENOTTY;
    }
}

static u64 tun_awaited(const struct file *file) {
    return file->extra ? 1UL << file->extra : 0;
}

static u32 tun_poll(struct file *file) {
    struct wait block = {.deadline = 0, .want = tun_awaited(file)};
    if (!file->extra)
        return POLLERR;
    hypercall_wait(&block);
    return POLL_WRITABLE | (block.ready ? POLL_READABLE : 0);
}

static long tun_read(struct file *file, void *to, u64 size) {
    const struct waiting waits = {.deadline = FOREVER, .want = tun_awaited(file), .restarts = true};
    if (!file->extra)
        return -EBADFD;
    file->reads++;
    for (;;) {
        struct net_read block = {
            .device = file->extra, .address = (u64)to, .length = MIN(size, FRAME_MOST)};
        hypercall_net_read(&block);
        if (block.result != -EAGAIN || file->flags & O_NONBLOCK)
            return block.result;
        long error = park_for_host(&waits);
        if (error)
            return error;
    }
}

static long tun_write(struct file *file, const void *from, u64 size) {
    if (!file->extra)
        return -EBADFD;
    if (size > FRAME_MOST)
        return -EINVAL;
    struct net_write block = {.device = file->extra, .address = (u64)from, .length = size};
    hypercall_net_write(&block);
    return block.result;
}

const struct file_ops net_ops = {
    .read = tun_read,
    .write = tun_write,
    .stat = file_stat,
    .ioctl = tun_ioctl,
    .poll = tun_poll,
    .awaited = tun_awaited,
    .release = file_close,
};
