/* Endpoints: those in constants of the plan's, and behind them those that a start chooses. */
#ifndef LIMPET_ENDPOINTS_H
#define LIMPET_ENDPOINTS_H

#include "chosen.h"

static inline const struct outside_address *endpoint_at(u64 index) {
    if (index < ENDPOINTS_FIXED)
        return (const struct outside_address *)ENDPOINTS + index;
    return address_chosen(CHOSEN_PORTS + index - ENDPOINTS_FIXED);
}

#endif
