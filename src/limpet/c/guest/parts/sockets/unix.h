/* AF_UNIX: names, and sockets that talk to each other. */
#ifndef LIMPET_UNIX_H
#define LIMPET_UNIX_H

#include "parts/sockets/socket.h"

/* A name that a socket has, as its packets keep it. */
struct unix_name {
    u32 references, length;
    u8 bytes[]; /* a sockaddr_un */
};

void unix_name_put(struct unix_name *name); /* NULL is fine */

/* Which transport; negative: none.  Otherwise the protocol that SO_PROTOCOL tells. */
long unix_choose(s32 type, s32 protocol, const struct transport **transport);

static inline bool unix_writable(const struct socket *socket) {
    return socket->state != LISTENING && (u64)socket->charged * 4 <= socket->send_size;
}

/* Names (names.c). */
long unix_bind(struct socket *socket, const struct address *address);
long unix_autobind(struct socket *socket);
long unix_find(const struct socket *from, const struct address *address, struct socket **found);
long unix_name(struct socket *socket, bool of_peer, struct address *to);
void unix_name_told(const struct unix_name *name, struct address *to);
long unix_check(const struct address *address);

void unix_leave(struct socket *socket);

/* What stream, datagram and seqpacket have in common (unix.c). */
void unix_enter(struct socket *socket); /* in the list of all */
void unix_close(struct socket *socket);
long unix_pair(struct socket *socket, struct socket *other);
void unix_queue_has_room(struct socket *socket);
long unix_shutdown(struct socket *socket, u32 how);
u32 unix_ready(struct socket *socket);
u32 unix_charge(u64 size); /* what Linux counts for a packet */
void unix_tell_sender(struct packet *packet, struct message *message, bool looks);
struct packet *unix_packet(struct socket *from, struct socket *to, struct message *message,
                           u64 size); /* NULL: no memory */
long unix_unread(struct socket *socket);
bool unix_connected_kind(const struct socket *socket);

/* stream.c, for sequenced packets too */
long unix_listen(struct socket *socket, u32 backlog);
long unix_accept(struct socket *socket, struct socket **made);
long unix_connect_stream(struct socket *socket, const struct address *address);

#endif
