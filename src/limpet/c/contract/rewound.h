/*
 * What a process is taken back to, as its monitor and the library OS know it.  The guest can only
 * read it once it is kept, and nothing that is decided by it is the guest's.
 */
#ifndef LIMPET_REWOUND_H
#define LIMPET_REWOUND_H

#include "contract.h"

struct rewound {
    u64 nothing[4];  /* first: a timer that never comes, and what is said at the end */
    u64 takes, kept; /* whoever started it hears of it; and it has happened */
    u64 stack, back; /* where it goes on, and on what */
    u64 singly;      /* only pages that were touched are mapped (features/rewind/singly.c) */
};

/* struct procmap_query of uapi linux/fs.h, and rights that what is found has. */
struct mapped {
    u64 low, high, rights, page, offset, inode;
    u32 device[2];
};
struct places_query {
    u64 size, flags, at;
    struct mapped found;
    u32 no_name[2];
    u64 nowhere[2];
};
enum { CAN_BE_WRITTEN = 2, CAN_BE_RUN = 4, COVERING_OR_NEXT = 16, OF_A_FILE = 32 };

#define REWOUND ((struct rewound *)REWOUND_AT)

#endif
