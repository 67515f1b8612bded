/*
 * Sockets for endpoints of the plan's, each connected to one, or on its way there.
 *
 * A guest that has sockets of UDP has all its sockets from here: its own filter, which sees a
 * descriptor and an address, could not tell an endpoint of TCP's from one of UDP's.  The porter's
 * filter knows where in the monitor's constants the address of each endpoint lies.
 */
#include "endpoints.h"

/* NULL: the guest was not given that. */
static const struct outside_address *endpoint_asked(const struct broker_request *request) {
    for (u64 i = 0; i < ENDPOINT_COUNT; i++) {
        const struct outside_address *end = endpoint_at(i);
        const u8 *at = end->address;
        bool same = request->what == (end->udp ? BROKER_UDP : BROKER_TCP) &&
                    request->port == ((u32)at[2] << 8 | at[3]);
        u32 first = end->version_6 ? 0 : 12, from = end->version_6 ? 8 : 4;
        for (u32 k = first; same && k < sizeof request->address; k++)
            same = request->address[k] == at[from + k - first];
        for (u32 k = 0; same && k < first; k++)
            same = request->address[k] == (k < 10 ? 0 : 0xff);
        if (same)
            return end;
    }
    return NULL;
}

/* A socket that is connected there, or why there is none. */
static long open_endpoint(const struct outside_address *to) {
    long fd = to->udp         ? (to->version_6 ? datagrams_of_6() : datagrams_of_4())
              : to->version_6 ? socket_of_6()
                              : socket_of_4();
    if (fd < 0)
        return fd;
    long error = host3(NR_CONNECT, fd, (long)to, to->size);
    if (!error || error == -HOST_EINPROGRESS)
        return fd;
    host3(NR_CLOSE, fd, 0, 0);
    return error;
}

static long open_asked(const struct broker_request *request) {
    const struct outside_address *to = endpoint_asked(request);
    return to ? open_endpoint(to) : -HOST_EACCES;
}
