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
};

#define REWOUND ((struct rewound *)REWOUND_AT)

#endif
