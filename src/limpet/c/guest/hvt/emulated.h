/*
 * The ring-0 instructions of one guest that trap into the shim, in a file that is generated for
 * it: so the shim itself is the same for all, and its size is known before there is a guest.
 */
#ifndef LIMPET_EMULATED_H
#define LIMPET_EMULATED_H

#include "contract.h"

enum kind { LIDT = 1, FS_BASE = 2, CR2 = 3, HALT = 4 }; /* limpet.guests.solo5.privileged */

struct emulated {
    u64 address; /* 0 behind the last */
    u8 size, kind, number;
    signed char displacement;
};

extern const struct emulated emulated[];

#endif
