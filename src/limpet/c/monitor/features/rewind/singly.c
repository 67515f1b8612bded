/*
 * Where a page of a file is read, the kernel maps up to sixteen around it, and all of them are
 * looked at whenever the guest is taken back.  In memory that somebody could be told of
 * (userfaultfd) it maps just the one.  Nobody is ever told of anything: no page is watched, and
 * the code that takes the guest back closes the descriptor before anybody asks the guest.
 *
 * A host that refuses this, as some containers do, has more to look at.
 */
#include "rewound.h"

struct singly_api {
    u64 version, features, calls;
};
struct singly_range {
    u64 low, size, mode, calls;
};

/* What can be written of a file, wherever that is: memory that moves elsewhere loses this. */
static bool note_files(long fd) {
    enum { FOR_WRITES = 2 };
    struct places_query query;
    query.found.high = 0;
    do {
        query.size = sizeof query, query.flags = COVERING_OR_NEXT | CAN_BE_WRITTEN | OF_A_FILE;
        query.at = query.found.high;
        query.no_name[0] = query.no_name[1] = 0, query.nowhere[0] = query.nowhere[1] = 0;
        if (host3(NR_IOCTL, PLACES_FD, PROCMAP_QUERY, (long)&query) < 0)
            return true;
        struct singly_range range = {.low = query.found.low, .mode = FOR_WRITES};
        range.size = query.found.high - query.found.low;
        if (host3(NR_IOCTL, fd, UFFDIO_REGISTER, (long)&range) < 0)
            return false;
    } while (query.found.high < REWOUND_AT);
    return true;
}

static void map_singly(void) {
    enum { O_USER_MODE_ONLY = 1, WRITES_GO_ON = 1 << 15 };
    struct singly_api api = {.version = 0xAA, .features = WRITES_GO_ON};
    long fd = host3(NR_USERFAULTFD, O_CLOEXEC | O_USER_MODE_ONLY, 0, 0);
    if (fd < 0)
        return;
    if (host3(NR_IOCTL, fd, UFFDIO_API, (long)&api) == 0 && note_files(fd))
        REWOUND->singly = host3(NR_FCNTL, fd, F_DUPFD_CLOEXEC, SINGLY_FD) == SINGLY_FD;
    host3(NR_CLOSE, fd, 0, 0);
}
