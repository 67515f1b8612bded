/* What uname and /proc/sys/kernel say: of this world, never of the host. */
#ifndef LIMPET_RELEASE_H
#define LIMPET_RELEASE_H

#define SYSTEM_NAME "Linux"
#define HOST_NAME "limpet"
#define RELEASE "6.1.0-limpet"
#define VERSION "#1 SMP limpet"
#define DOMAIN_NAME "(none)"

#endif
