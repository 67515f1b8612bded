/*
 * Networks: a TAP interface of the host, or a descriptor that the parent opened, one
 * Ethernet frame for each read and write.
 */
struct ifreq { /* uapi linux/if.h */
    char name[INTERFACE_NAME_SIZE];
    union {
        u64 words[3];
        s32 number;
        u16 flags;
    } u;
};

enum { IFF_UP = 1, IFF_TAP = 2, IFF_NO_PI = 0x1000, ETHTOOL_SGSO = 0x24, ETHTOOL_SGRO = 0x2c };

static void set_mtu(struct mft_entry *device, u64 mtu) {
    device->capacity = (device->capacity & ((1UL << 48) - 1)) | mtu << 48;
}

/* Frames that the host has joined would not fit into the guest's buffers. */
static void split_frames(long socket, struct ifreq *request) {
    static const u32 commands[] = {ETHTOOL_SGSO, ETHTOOL_SGRO};
    for (u64 i = 0; i < 2; i++) {
        u32 off[2] = {commands[i], 0};
        request->u.words[0] = (u64)off;
        host3(NR_IOCTL, socket, SIOCETHTOOL, (long)request);
    }
}

/* The interface's MTU, or an error; it must be there and up, since opening a TAP
 * device that is not would make it. */
static long look_at(struct ifreq *request) {
    long socket = host3(NR_SOCKET, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    long error = host3(NR_IOCTL, socket, SIOCGIFFLAGS, (long)request);
    if (error >= 0 && !(request->u.flags & IFF_UP))
        error = -HOST_ENETDOWN;
    if (error >= 0)
        error = host3(NR_IOCTL, socket, SIOCGIFMTU, (long)request);
    long mtu = request->u.number;
    if (error >= 0)
        split_frames(socket, request);
    host3(NR_CLOSE, socket, 0, 0);
    return error < 0 ? error : mtu;
}

static long open_tap(struct ifreq *request) {
    long fd = host4(NR_OPENAT, AT_FDCWD, (long)"/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC, 0);
    request->u.words[0] = IFF_TAP | IFF_NO_PI;
    long error = fd < 0 ? fd : host3(NR_IOCTL, fd, TUNSETIFF, (long)request);
    return error < 0 ? error : fd;
}

static void attach_tap(struct mft_entry *device, const char *interface) {
    struct ifreq request = {0};
    u64 size = length(interface);
    if (!size || size >= sizeof request.name)
        complain("limpet: ", interface, 40, ": not the name of an interface");
    memcpy(request.name, interface, size);
    long mtu = look_at(&request);
    attach(device, interface, mtu < 0 ? mtu : open_tap(&request));
    if (!behind(request.name, interface) || request.name[size])
        complain("limpet: ", interface, 40, ": not the name of an interface");
    if (!net_mtu(device))
        set_mtu(device, (u64)mtu);
}

static void attach_descriptor(struct mft_entry *device, const char *number) {
    u64 fd;
    if (!parse_number(number, 0x7fffffff, &fd) || fd < FIRST_FD)
        complain("limpet: @", number, 20,
                 ": not the number of a descriptor behind the standard ones");
    host3(NR_FCNTL, (long)fd, F_SETFL, O_NONBLOCK);
    attach(device, number, (long)fd);
    if (!net_mtu(device))
        set_mtu(device, MTU_USUAL);
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

static void take_mac(const char *option) {
    const char *value;
    struct mft_entry *device = find_device(option, DEVICE_NET, &value);
    const char *at = value;
    for (int i = 0; i < 6; i++) {
        int high = hex_digit(at[0]), low = high < 0 ? -1 : hex_digit(at[1]);
        if (low < 0 || at[2] != (i < 5 ? ':' : 0))
            complain("limpet: ", value, 40, ": not a MAC address like 02:00:00:00:00:01");
        net_mac(device)[i] = (u8)(high << 4 | low);
        at += 3;
    }
}

static void take_mtu(const char *option) {
    const char *value;
    u64 mtu;
    struct mft_entry *device = find_device(option, DEVICE_NET, &value);
    if (!parse_number(value, MTU_MOST, &mtu) || mtu < MTU_LEAST)
        complain("limpet: ", value, 20,
                 ": not an MTU between " MTU_LEAST_TEXT " and " MTU_MOST_TEXT);
    set_mtu(device, mtu);
}

static bool take_net_option(const char *option) {
    const char *rest, *value;
    if ((rest = behind(option, "--net-mac:"))) {
        take_mac(rest);
    } else if ((rest = behind(option, "--net-mtu:"))) {
        take_mtu(rest);
    } else if ((rest = behind(option, "--net:"))) {
        struct mft_entry *device = find_device(rest, DEVICE_NET, &value);
        if (*value == '@')
            attach_descriptor(device, value + 1);
        else
            attach_tap(device, value);
    } else {
        return false;
    }
    return true;
}

/* Those without an address get a random one, locally administered. */
static void finish_nets(void) {
    for (u64 i = 1; i < MANIFEST->count; i++) {
        struct mft_entry *device = &MANIFEST->entries[i];
        if (device->type != DEVICE_NET || device->capacity << 16)
            continue;
        host3(NR_GETRANDOM, (long)net_mac(device), 6, 0);
        net_mac(device)[0] = (net_mac(device)[0] & 0xfe) | 2;
    }
}
