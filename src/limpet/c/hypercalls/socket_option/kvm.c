/* socket_option on kvm. */
#define SOCKET_GET(slot, level, name, value, size)                                                 \
    host6(NR_GETSOCKOPT, slot, level, name, value, size, 0)
#define SOCKET_SET(slot, level, name, value, size)                                                 \
    host6(NR_SETSOCKOPT, slot, level, name, value, size, 0)
#include "hypercalls/socket_option/option.h"

static void serve_socket_option(struct socket_option *block) {
    if (is_connection(block->slot))
        do_option(block);
    else
        block->result = -HOST_EBADF;
}
