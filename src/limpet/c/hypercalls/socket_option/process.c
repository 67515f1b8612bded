/* socket_option in a process. */
#define SOCKET_GET(slot, level, name, value, size)                                                 \
    HOST_STUB(socket_option, getsockopt, NR_GETSOCKOPT, slot, level, name, value, size, 0)
#define SOCKET_SET(slot, level, name, value, size)                                                 \
    HOST_STUB(socket_option, setsockopt, NR_SETSOCKOPT, slot, level, name, value, size, 0)
#include "hypercalls/socket_option/option.h"

static void process_socket_option(struct socket_option *block) {
    do_option(block);
}
