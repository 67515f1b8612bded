/* Who the program is: all of its threads are the same user. */
#ifndef LIMPET_IDENTITY_H
#define LIMPET_IDENTITY_H

#include "libos.h"

enum which_id { REAL, EFFECTIVE, SAVED, FOR_FILES, IDS };

enum {
    CAP_CHOWN,
    CAP_DAC_OVERRIDE,
    CAP_DAC_READ_SEARCH,
    CAP_FOWNER,
    CAP_FSETID,
    CAP_KILL,
    CAP_SETGID,
    CAP_SETUID,
    CAP_SETPCAP,
    CAP_NET_BIND_SERVICE = 10,
    LAST_CAPABILITY = 40
};

/* What root has here; all that concerns a host's administrator it has not. */
#define CAPABILITIES 0x5ffULL
/* Those that go with the user whom files are asked for. */
#define FILE_CAPABILITIES 0x1fULL

#define MOST_GROUPS 65536

struct identity {
    u32 users[IDS], groups[IDS];
    u32 *others; /* supplementary groups, ascending */
    u32 other_count;
    bool keeps; /* capabilities, when root becomes another (PR_SET_KEEPCAPS) */
    u64 permitted, effective, inheritable, bounding, ambient;
};
extern struct identity identity;

static inline bool capable(u32 which) {
    return identity.effective >> which & 1;
}

void identity_changed(void); /* users.c: from now on every access is checked */

#endif
