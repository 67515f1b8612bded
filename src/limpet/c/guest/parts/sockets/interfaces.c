/* netdevice(7) */
#include "parts/sockets/interfaces.h"

#define INDEX 1
#define MTU 65536
#define FLAGS 0x49 /* IFF_UP, IFF_LOOPBACK, IFF_RUNNING */
#define ARPHRD_LOOPBACK 772

enum {
    SIOCGIFNAME = 0x8910,
    SIOCGIFCONF = 0x8912,
    SIOCGIFFLAGS = 0x8913,
    SIOCGIFADDR = 0x8915,
    SIOCGIFDSTADDR = 0x8917,
    SIOCGIFBRDADDR = 0x8919,
    SIOCGIFNETMASK = 0x891b,
    SIOCGIFMETRIC = 0x891d,
    SIOCGIFMTU = 0x8921,
    SIOCGIFHWADDR = 0x8927,
    SIOCGIFINDEX = 0x8933,
    SIOCGIFTXQLEN = 0x8942
};

struct interface {
    char name[16];
    union {
        struct address_4 address;
        s32 number;
        u16 flags;
        u16 family;
        u8 bytes[24];
    };
};
_Static_assert(sizeof(struct interface) == 40, "struct ifreq");

static const char own_name[16] = "lo";
static const struct address_4 own_address = {AF_INET, 0, {127, 0, 0, 1}, {0}};

/* As many as there is room for, which is one; without a place for it, how much that is. */
static long list(u64 argument) {
    struct {
        s32 size;
        u64 at;
    } *all = (void *)argument;
    if (all->at && all->size >= (s32)sizeof(struct interface)) {
        struct interface *to = (struct interface *)all->at;
        *to = (struct interface){.address = own_address};
        memcpy(to->name, own_name, sizeof own_name);
    } else if (all->at) {
        all->size = 0;
        return 0;
    }
    all->size = sizeof(struct interface);
    return 0;
}

static long name_of(struct interface *asked) {
    if (asked->number != INDEX)
        return -ENODEV;
    memcpy(asked->name, own_name, sizeof own_name);
    return 0;
}

static void tell(u64 request, struct interface *to) {
    static const u8 mask[4] = {255};
    memset(to->bytes, 0, sizeof to->bytes);
    switch (request) {
    case SIOCGIFFLAGS:
        to->flags = FLAGS;
        break;
    case SIOCGIFADDR:
    case SIOCGIFDSTADDR:
        to->address = own_address;
        break;
    case SIOCGIFBRDADDR:
        to->family = AF_INET;
        break;
    case SIOCGIFNETMASK:
        to->family = AF_INET;
        memcpy(to->address.host, mask, sizeof mask);
        break;
    case SIOCGIFMTU:
        to->number = MTU;
        break;
    case SIOCGIFHWADDR:
        to->family = ARPHRD_LOOPBACK;
        break;
    case SIOCGIFINDEX:
        to->number = INDEX;
        break;
    case SIOCGIFTXQLEN:
        to->number = 1000;
        break;
    default: /* SIOCGIFMETRIC */
        break;
    }
}

long interfaces_ioctl(u64 request, u64 argument) {
    struct interface *asked = (struct interface *)argument;
    switch (request) {
    case SIOCGIFCONF:
        return list(argument);
    case SIOCGIFNAME:
        return name_of(asked);
    case SIOCGIFFLAGS:
    case SIOCGIFADDR:
    case SIOCGIFDSTADDR:
    case SIOCGIFBRDADDR:
    case SIOCGIFNETMASK:
    case SIOCGIFMETRIC:
    case SIOCGIFMTU:
    case SIOCGIFHWADDR:
    case SIOCGIFINDEX:
    case SIOCGIFTXQLEN:
        if (memcmp(asked->name, own_name, sizeof "lo"))
            return -ENODEV;
        tell(request, asked);
        return 0;
    default:
        return -ENOTTY;
    }
}
