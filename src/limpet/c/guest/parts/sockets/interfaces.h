/* What SIOCGIF* tells of the one interface there is: the loopback. */
#ifndef LIMPET_INTERFACES_H
#define LIMPET_INTERFACES_H

#include "libos.h"
#include "parts/sockets/abi.h"

long interfaces_ioctl(u64 request, u64 argument); /* -ENOTTY: it is none of these */

#endif
