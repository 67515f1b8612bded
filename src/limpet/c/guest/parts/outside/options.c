/* Options that change what the host does with a connection; all others are the guest's alone. */
#include "parts/outside/batch.h"

void link_set_linger(const struct link *link, s32 seconds) {
    struct socket_option block = {.slot = link->slot,
                                  .level = SOL_SOCKET,
                                  .name = SO_LINGER,
                                  .set = 1,
                                  .value = {seconds >= 0, (u32)MAX(seconds, 0)},
                                  .size = 2 * sizeof(s32)};
    hypercall_socket_option(&block);
}

#define OPTION(name) (1UL << (name))
/* TCP_NODELAY, CORK, KEEPIDLE, KEEPINTVL, KEEPCNT, SYNCNT, QUICKACK, USER_TIMEOUT. */
#define OF_TCP                                                                                     \
    (OPTION(1) | OPTION(3) | OPTION(4) | OPTION(5) | OPTION(6) | OPTION(7) | OPTION(12) |          \
     OPTION(18))
#define OF_SOCKET (OPTION(SO_SNDBUF) | OPTION(SO_RCVBUF) | OPTION(SO_KEEPALIVE) | OPTION(SO_LINGER))

void link_set_option(const struct link *link, s32 level, s32 name, s32 value) {
    struct socket_option block = {.slot = link->slot,
                                  .level = (u32)level,
                                  .name = (u32)name,
                                  .set = 1,
                                  .value = {(u32)value},
                                  .size = sizeof(s32)};
    hypercall_socket_option(&block);
}

void link_keep(struct socket *socket, s32 level, s32 name, s32 value) {
    const struct link *link = link_of(socket);
    u64 counts = level == SOL_TCP ? OF_TCP : level == SOL_SOCKET ? OF_SOCKET : 0;
    if (name < 0 || name >= 64 || !(counts >> name & 1))
        return;
    if (level == SOL_TCP && name == TCP_CORK)
        batch_cork(socket, value);
    else if (level == SOL_SOCKET && name == SO_LINGER)
        link_set_linger(link, socket->linger);
    else
        link_set_option(link, level, name, value);
}

void link_keep_all(struct socket *socket) {
    if (option(socket, SO_KEEPALIVE))
        link_keep(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (socket->linger >= 0)
        link_keep(socket, SOL_SOCKET, SO_LINGER, 1);
    internet_changed(socket, link_keep);
}

/* What the connection has agreed upon, which its host knows. */
long link_get(struct socket *socket, s32 level, s32 name, void *value, u32 *size) {
    enum { TCP_MAXSEG = 2 };
    if (!link_of(socket) || level != SOL_TCP || name != TCP_MAXSEG || socket->state != CONNECTED)
        return internet_get(socket, level, name, value, size);
    struct socket_option block = {
        .slot = link_of(socket)->slot, .level = SOL_TCP, .name = TCP_MAXSEG, .size = sizeof(u32)};
    hypercall_socket_option(&block);
    *size = MIN(*size, block.size);
    memcpy(value, block.value, *size);
    return block.result;
}
