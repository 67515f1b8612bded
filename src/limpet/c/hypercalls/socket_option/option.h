/* socket_option, but for how a host system call is made: the same on both backends. */
#include "outside.h"

enum { OF_SOCKET = 1, OF_TCP = 6 };
#define OPTION(name) (1UL << (name))
/* SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE, SO_LINGER; to read SO_ERROR too. */
#define SET_OF_SOCKET (OPTION(7) | OPTION(8) | OPTION(9) | OPTION(13))
#define READ_OF_SOCKET (SET_OF_SOCKET | OPTION(4))
/* TCP_NODELAY, CORK, KEEPIDLE, KEEPINTVL, KEEPCNT, SYNCNT, QUICKACK, USER_TIMEOUT; to read MAXSEG
 * too. */
#define SET_OF_TCP                                                                                 \
    (OPTION(1) | OPTION(3) | OPTION(4) | OPTION(5) | OPTION(6) | OPTION(7) | OPTION(12) |          \
     OPTION(18))
#define READ_OF_TCP (SET_OF_TCP | OPTION(2))

/* What the filter lets through: another option would end the guest instead of being refused. */
static bool is_option(const struct socket_option *block) {
    u64 of_socket = block->set ? SET_OF_SOCKET : READ_OF_SOCKET;
    u64 of_tcp = block->set ? SET_OF_TCP : READ_OF_TCP;
    u64 known = block->level == OF_SOCKET ? of_socket : block->level == OF_TCP ? of_tcp : 0;
    return block->name < 64 && known >> block->name & 1 && block->size <= sizeof block->value;
}

static void do_option(struct socket_option *block) {
    if (!is_option(block))
        block->result = -HOST_ENOPROTOOPT;
    else if (block->set)
        block->result = SOCKET_SET((long)block->slot, (long)block->level, (long)block->name,
                                   (long)block->value, (long)block->size);
    else
        block->result = SOCKET_GET((long)block->slot, (long)block->level, (long)block->name,
                                   (long)block->value, (long)&block->size);
}
