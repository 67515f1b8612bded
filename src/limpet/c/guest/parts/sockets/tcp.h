/* TCP inside the guest. */
#ifndef LIMPET_TCP_H
#define LIMPET_TCP_H

#include "parts/sockets/internet.h"
#include "parts/sockets/packets.h"

/* tcp.c: how connections begin */
long tcp_listen(struct socket *socket, u32 backlog);
long tcp_accept(struct socket *socket, struct socket **made);
long tcp_connect(struct socket *socket, const struct address *address);
void tcp_stop_waiting(struct socket *socket);
void tcp_try_waiting(struct socket *listener);

/* tcp_end.c: how they end */
long tcp_disconnect(struct socket *socket);
long tcp_shutdown(struct socket *socket, u32 how);
void tcp_reset(struct socket *socket); /* the other side is gone with what was sent */
void tcp_close(struct socket *socket);

#endif
