/* The notes of a unikernel with one block device and one network, or none. */
#include "abi.h"

struct note_head {
    u32 name_size, size, type;
    char name[8];
};

static const struct {
    struct note_head head;
    u32 target, version, reserved[2];
} abi __attribute__((section(".note.abi"), used)) = {
    {6, 16, 0x31494241, "Solo5"}, TARGET, VERSION, {0, 0}};

#ifdef DEVICES
#define COUNT 3
#else
#define COUNT 1
#endif

static const struct {
    struct note_head head;
    u32 align, version, count;
    struct device devices[COUNT];
} __attribute__((packed, aligned(4))) mft __attribute__((section(".note.mft"), used)) = {
    {6, 4 + 8 + COUNT * sizeof(struct device), 0x3154464d, "Solo5"},
    0,
    1,
    COUNT,
    {{"", 1U << 30, 0, 0, 0, 0},
#ifdef DEVICES
     {"storage", 1, 0, 0, 0, 0},
     {"service", 2, 0, 0, 0, 0}
#endif
    }};
