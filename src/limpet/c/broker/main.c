/*
 * The broker, all of it: one translation unit, compiled by itself and put at its own address.  The
 * monitor's child jumps here behind its filter, with the address of the policy.
 */
#include "broker/broker.h"
#include "bytes.h"
#include "broker/address.c"
#include "broker/place.c"
#include "broker/log.c"
#include "broker/name.c"
#include "broker/packet.c"
#include "broker/answers.c"
#include "broker/requests.c"
#include "broker/asks.c"
#include "broker/host_files.c"
#include "broker/clock.c"
#include "broker/serve.c"

__asm__(".section .text.start\n.globl _start\n_start:\ncall broker_main\n");

/* The guest's memory is a copy that nobody needs here; it is the guest's to write. */
_Noreturn void broker_main(const struct broker_policy *policy);
_Noreturn void broker_main(const struct broker_policy *policy) {
    struct broker broker;
    host3(NR_MUNMAP, 0, MONITOR_AT, 0);
    begin(&broker, policy);
    read_host_files(&broker);
    look_at_clock(&broker);
    while (serve_turn(&broker))
        ;
    tell_left_out(&broker.pace);
    for (;;)
        host3(NR_EXIT_GROUP, 0, 0, 0);
}
