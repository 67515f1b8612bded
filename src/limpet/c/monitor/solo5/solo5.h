/* What the monitors of Solo5 guests share. */
#ifndef LIMPET_SOLO5_H
#define LIMPET_SOLO5_H

#include "devices/devices.h"

enum solo5_result { SOLO5_OK = 0, SOLO5_AGAIN = 1, SOLO5_EINVAL = 2, SOLO5_EUNSPEC = 3 };
enum { CMDLINE_SIZE = 8192 };

#define CMDLINE ((char *)CMDLINE_AT)

#endif
