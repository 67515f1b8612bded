/* What the monitors of Solo5 guests share. */
#ifndef LIMPET_SOLO5_H
#define LIMPET_SOLO5_H

#include "features/devices/devices.h"

#define CMDLINE ((char *)CMDLINE_AT)

#endif
