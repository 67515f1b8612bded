/*
 * Devices, as the words of the bundle's command line name them: found in the table by
 * name, attached once, and at the end at descriptors that the filter knows.
 */
#include "features/devices/devices.h"

enum { LINE_ROOM = 512, SHOWN = 200 }; /* of a line before the filter stands */

static void say(const char *what, const char *name, u64 size, const char *why) {
    char line[LINE_ROOM];
    char *to = put_text(line, what);
    for (u64 i = 0; i < size && i < SHOWN && name[i]; i++)
        *to++ = name[i];
    to = put_text(put_text(to, why), "\n");
    host3(NR_WRITE, STDERR, (long)line, to - line);
}

static _Noreturn void leave(void) {
    for (;;)
        host3(NR_EXIT_GROUP, EXIT_CANNOT_START, 0, 0);
}

/* One line; the end. */
static _Noreturn void complain(const char *what, const char *name, u64 size, const char *why) {
    say(what, name, size, why);
    leave();
}

/* One line, then what the manifest wants; the end. */
static _Noreturn void complain_of(const char *what, const char *name, u64 size, const char *why) {
    say(what, name, size, why);
    for (u64 i = 1; i < MANIFEST->count; i++) {
        const struct mft_entry *device = &MANIFEST->entries[i];
        static const char *const wants[] = {
            "", "limpet: the manifest wants --block:", "limpet: the manifest wants --net:",
            "limpet: the manifest wants --volume:"};
        static const char *const values[] = {"", "=PATH", "=INTERFACE", "=FOLDER"};
        say(wants[device->type], device->name, DEVICE_NAME_SIZE, values[device->type]);
    }
    leave();
}

/* "NAME=VALUE": the device of that type and name, and where VALUE starts. */
static struct mft_entry *find_device(const char *text, u32 type, const char **value) {
    u64 size = 0;
    while (text[size] && text[size] != '=')
        size++;
    for (u64 i = 1; i < MANIFEST->count && text[size]; i++) {
        struct mft_entry *device = &MANIFEST->entries[i];
        u64 same = 0;
        while (same < size && device->name[same] == text[same])
            same++;
        if (device->type != type || same != size || device->name[size])
            continue;
        *value = text + size + 1;
        return device;
    }
    complain_of("limpet: Resource not declared in manifest: '", text, size, "'");
}

/* What naming a device, or a setting of one, comes to where the guest has none of that type. */
static __attribute__((noinline, unused)) bool refuse_device(const char *word, const char *prefix,
                                                            u32 type) {
    const char *value, *rest = behind(word, prefix);
    while (rest && *rest && *rest != ':' && *rest != '=')
        rest++;
    if (rest && *rest == ':')
        find_device(rest + 1, type, &value);
    return false;
}

static inline const char *explain_error(long error) {
    switch (-error) {
    case HOST_ENOENT:
    case HOST_ENODEV:
        return ": no such file or interface";
    case HOST_EACCES:
    case HOST_EPERM:
        return ": permission denied";
    case HOST_EBUSY:
        return ": in use by another program";
    case HOST_EINVAL:
        return ": not of the right kind";
    case HOST_ENETDOWN:
        return ": the interface is down";
    default:
        return ": the host refuses";
    }
}

/* Descriptors move out of the way of everything fixed, and at the end to DEVICE_FD +
 * handle, which the filter knows. */
static inline void attach(struct mft_entry *device, const char *value, long fd) {
    long parked = fd < 0 ? fd : host3(NR_FCNTL, fd, F_DUPFD_CLOEXEC, PARKED_FD);
    if (device->attached)
        complain("limpet: ", device->name, DEVICE_NAME_SIZE, ": attached twice");
    if (parked < 0)
        complain("limpet: cannot attach ", value, SHOWN, explain_error(parked));
    device->handle = (u64)parked;
    device->attached = 1;
}

static void place_devices(void) {
    host3(NR_CLOSE_RANGE, FIRST_FD, PARKED_FD - 1, 0);
    for (u64 i = 1; i < MANIFEST->count; i++) {
        struct mft_entry *device = &MANIFEST->entries[i];
        if (!device->attached)
            complain_of("limpet: Device '", device->name, DEVICE_NAME_SIZE,
                        "' declared but not attached.");
        host3(NR_DUP2, (long)device->handle, (long)(DEVICE_FD + i), 0);
        device->handle = DEVICE_FD + i;
    }
    close_others();
}
