/* The table of what a start chooses, which is closed before the guest runs: ports first. */
#ifndef LIMPET_CHOSEN_H
#define LIMPET_CHOSEN_H

#include "outside.h"

static inline __attribute__((unused)) const struct outside_address *address_chosen(u64 index) {
    return (const struct outside_address *)(CHOICES_AT + index * CHOICE_SIZE);
}

#endif
