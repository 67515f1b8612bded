/* What tells a C library to look names up: in guests with a broker. */
#include "parts/outside/plan.h"
#include "parts/world/world.h"

static const struct standard etc_of_broker[] = {
    FILE("nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
                          "networks: files\nprotocols: files\nservices: files\n"),
    FILE("resolv.conf", "nameserver 192.0.0.8\n"), /* a dummy address (RFC 7600) */
    {0},
};

const struct outside_broker outside_by_broker = {etc_of_broker};
