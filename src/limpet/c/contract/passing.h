/*
 * A socket for a guest that asked for one, or an error.  Who includes this says how a message goes
 * to the guest (SEND_MESSAGE): without waiting, and without a signal where it has ended.
 */
#ifndef LIMPET_PASSING_H
#define LIMPET_PASSING_H

#include "broker_messages.h"
#include "host.h"

/* With a descriptor; negative: without one. */
static long answer(long fd, struct broker_reply reply) {
    struct broker_passed passed = {PASSED_SIZE, PASSED_LEVEL, PASSED_KIND, (s32)fd, 0};
    struct broker_vector vector = {&reply, sizeof reply};
    struct broker_message message = {NULL, 0, &vector, 1, &passed, sizeof passed, 0};
    if (fd < 0)
        message.control = NULL, message.control_size = 0;
    return SEND_MESSAGE((long)&message);
}

/* The descriptor is closed here.  How many may be on their way is bounded for all processes of a
 * user together: a guest that is given none is told so, since it waits for the answer.  Where it
 * does not take its answers they are lost. */
static void give(long fd, struct broker_reply reply) {
    if (answer(fd, reply) < 0 && fd >= 0)
        answer(-1, (struct broker_reply){-HOST_ENOBUFS});
    if (fd >= 0)
        host3(NR_CLOSE, fd, 0, 0);
}

#endif
