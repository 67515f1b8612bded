/* What a guest's side and its broker say to each other, and how a descriptor goes along (the uapi's
 * struct msghdr and cmsghdr).  Each takes every byte of the other's for hostile. */
#ifndef LIMPET_BROKER_MESSAGES_H
#define LIMPET_BROKER_MESSAGES_H

#include "contract.h"

struct broker_request {
    u32 what;       /* BROKER_RESOLVER, BROKER_TCP, BROKER_UDP, BROKER_FAMILY */
    u32 port;       /* or the family */
    u8 address[16]; /* version 4 as ::ffff:a.b.c.d; or first the kind */
};

struct broker_reply {
    s64 result; /* 0, with a descriptor, or -errno */
};

struct broker_vector {
    void *at;
    u64 size;
};

struct broker_message {
    void *name;
    u64 name_size;
    struct broker_vector *vector;
    u64 count;
    void *control;
    u64 control_size;
    u64 flags;
};

struct broker_passed {
    u64 size; /* as far as the descriptor */
    s32 level, kind, fd, pad;
};

/* How many lines may come, since when, and how many did not. */
struct log_pace {
    s64 lines, since, left_out;
};

enum { PASSED_SIZE = 20, PASSED_LEVEL = 1, PASSED_KIND = 1 }; /* SOL_SOCKET, SCM_RIGHTS */

#endif
