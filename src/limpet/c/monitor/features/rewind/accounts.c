/*
 * What the host's kernel knows of this process, for the code that takes its guest back.  On a host
 * that does not tell, or where nobody hears of it, nothing is kept.
 */
#include "rewound.h"

static bool open_account(const char *path, int number) {
    long fd = host4(NR_OPENAT, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    long got = host3(NR_FCNTL, fd, F_DUPFD_CLOEXEC, number);
    host3(NR_CLOSE, fd, 0, 0);
    return got == number;
}

static void open_accounts(void) {
    enum { S_IFSOCK = 0140000, REWOUND_HEAD = 4096, PR_SET_THP_DISABLE = 41 };
    const struct boot_info *boot = (const struct boot_info *)BOOT_INFO;
    bool heard = (boot->stdio[STDIN].mode & S_IFMT) == S_IFSOCK;
    map_memory(REWOUND_AT, REWOUND_AT + (heard ? REWOUND_SIZE : REWOUND_HEAD));
    if (!heard)
        return;
    map_memory(REWOUND_WORK, REWOUND_WORK + REWOUND_WORK_SIZE);
    if (host3(NR_MPROTECT, NOTED_AT, REWOUND_AT + REWOUND_SIZE - NOTED_AT, PROT_READ) != 0 ||
        host6(NR_PRCTL, PR_SET_THP_DISABLE, 1, 0, 0, 0, 0) != 0)
        return;
    REWOUND->takes =
        open_account("/proc/self/pagemap", PAGES_FD) && open_account("/proc/self/maps", PLACES_FD);
    if (REWOUND->takes)
        map_singly();
}
