/*
 * The namer: a process beside a guest's that makes, moves and removes names below volumes, and
 * tells whose files are (owners.c).
 *
 * A filter sees no strings, and the calls that change names take paths without rules for them. So
 * the guest's own filter has none of these calls: it asks here, and this process copies what it is
 * told and looks at it as the kvm monitor does.  It is behind a filter of its own, and Landlock
 * knows the volumes and nothing else.  It has no output, and ends with its guest.
 *
 * Hostile: every byte of a request.
 */
#include "hypercalls/volume_name/below.h"

enum { NAMER_PAIR = STDIN, UNIX = 1, PACKETS = 5 | O_CLOEXEC }; /* AF_UNIX, SOCK_SEQPACKET */

struct name_request {
    struct volume_ask asked;
    char names[VOLUME_NAMES_MOST + 2];
};

/* Of the file that the guest has open, if the name still is that one's. */
static s64 owner_of(const struct naming *asked, const char *path) {
    const struct mft_entry *device = device_at(asked->volume, DEVICE_VOLUME);
    u64 stat[STAT_SIZE / sizeof(u64)] = {0};
    if (!device || asked->argument > HOW_NO_FOLLOW)
        return -HOST_EINVAL;
    long fd = open_way(device, path, HOW_PATH | asked->argument);
    if (fd < 0)
        return fd;
    host3(NR_FSTAT, fd, (long)stat, 0);
    host3(NR_CLOSE, fd, 0, 0);
    const u32 *owner = (const u32 *)stat + STAT_OWNER_AT / sizeof(u32);
    return is_file(stat, asked->file) ? (s64)(owner[0] | (u64)owner[1] << 32) : -HOST_ENOENT;
}

static s64 change_asked(struct name_request *request, u64 size) {
    const struct volume_ask *from = &request->asked;
    const struct naming asked = {from->what, from->argument, from->volume, from->times, from->file};
    if (size < sizeof *from || from->length != size - sizeof *from)
        return -HOST_EINVAL;
    request->names[from->length] = request->names[from->length + 1] = 0;
    if (asked.what == OWNER_ASKED)
        return owner_of(&asked, request->names);
    return WRITTEN_VOLUMES ? change_below(&asked, request->names) : -HOST_EROFS;
}

static _Noreturn void change_names(void) {
    struct name_request request;
    for (;;) {
        long size = host6(NR_RECVFROM, NAMER_PAIR, (long)&request,
                          sizeof request.asked + VOLUME_NAMES_MOST, 0, 0, 0);
        if (size == -HOST_EINTR)
            continue;
        if (size <= 0)
            break;
        const s64 result = change_asked(&request, (u64)size);
        host6(NR_SENDTO, NAMER_PAIR, (long)&result, sizeof result, SOCKET_SEND, 0, 0);
    }
    for (;;)
        host3(NR_EXIT_GROUP, 0, 0, 0);
}

/* The volumes and its end of the pair, and all below the slots taken. */
static void keep_volumes(long pair) {
    must(host3(NR_DUP2, pair, NAMER_PAIR, 0));
    host3(NR_CLOSE_RANGE, FIRST_FD, DEVICE_FD, 0);
    host3(NR_CLOSE_RANGE, (long)(DEVICE_FD + MANIFEST->count), 0xffffffffL, 0);
    for (u64 i = 1; i < MANIFEST->count; i++)
        if (MANIFEST->entries[i].type != DEVICE_VOLUME)
            host3(NR_CLOSE, (long)(DEVICE_FD + i), 0, 0);
}

static _Noreturn void be_namer(long pair) {
    static const struct {
        u64 length, program;
    } filter = {FILTER_NAMER_LENGTH, FILTER_NAMER_AT};
    keep_volumes(pair);
    host3(NR_SETSID, 0, 0, 0); /* what a terminal sends to a guest does not end it */
    must(host6(NR_PRCTL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0));
    fence(~0UL, ~0UL, SCOPES);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NPROC, 0);
    limit_slots(SCOPES);
    drop_rights();
    host3(NR_CLOSE, STDOUT, 0, 0);
    host3(NR_CLOSE, STDERR, 0, 0);
    fill_below_slots(SCOPES);
    if (host3(NR_SECCOMP, SECCOMP_SET_MODE_FILTER, 0, (long)&filter) == 0)
        change_names();
    for (;;)
        host3(NR_EXIT_GROUP, EXIT_CANNOT_START, 0, 0);
}

/* Returns in the guest's process, with its end of the pair where the filter knows it.  Where there
 * is none, that is something with which no message is sent. */
static void start_namer(void) {
    s32 ends[2];
    if (!WRITTEN_VOLUMES && !wants_users()) {
        must(host3(NR_DUP2, some_volume(), NAMER_FD, 0));
        return;
    }
    must(host4(NR_SOCKETPAIR, UNIX, PACKETS, 0, (long)ends));
    long child = host3(NR_FORK, 0, 0, 0);
    if (child < 0)
        die(EXIT_CANNOT_START, "limpet: the host refuses the process that changes names below a "
                               "--volume: raise ulimit -u, or give the volume :ro\n");
    if (!child)
        be_namer(ends[1]);
    must(host3(NR_DUP2, ends[0], NAMER_FD, 0));
    host3(NR_CLOSE, ends[0], 0, 0);
    host3(NR_CLOSE, ends[1], 0, 0);
}
