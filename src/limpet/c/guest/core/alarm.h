/*
 * Timers of the program (parts/timers), as far as everybody has to know them.
 *
 * The earliest one joins every `wait`, and is looked at on the way out of each system call: a
 * program without timers has none of the rest.
 */
#ifndef LIMPET_ALARM_H
#define LIMPET_ALARM_H

#include "contract.h"

struct alarms {
    s64 at;                /* the earliest, monotonic clock; 0: none */
    s64 busy;              /* the earliest that counts only the time not slept; 0: none */
    void (*ring)(s64 now); /* those whose time has come; finds the next */
    u64 slept;             /* nanoseconds in `wait` */
    bool signals;          /* some of them interrupt a program that computes */
};
extern struct alarms alarms; /* generated; attend_begin is due where the plan has attend */

/* Signals from outside (parts/signals/attend.c): listen from now on; and `wait` that does. */
void attend_begin(s64 now);
void attend(struct wait *block);

/* On the clock of busy time, of which only differences mean anything. */
static inline s64 busy_time(u64 now) {
    return (s64)(now - alarms.slept);
}

/* Ring what is due; a signal that is sent wakes who waits. */
void alarms_look(void);

#endif
