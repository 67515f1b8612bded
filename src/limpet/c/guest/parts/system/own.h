/* Which ids name the program or one of its threads. */
#ifndef LIMPET_OWN_H
#define LIMPET_OWN_H

#include "core/thread.h"
#include "linux.h"

/* 0 is the one that runs; 0 or -ESRCH. */
static inline long own_thread(long id) {
    return (s32)id == 0 || thread_of((s32)id) ? 0 : -ESRCH;
}

#endif
