/* socket_send on kvm. */
#include "hypercalls/socket_send/room.h"

static void serve_socket_send(struct socket_send *block) {
    const void *from = guest_range(block->address, block->length, GUEST_LO, GUEST_HI);
    u32 flags = send_flags(block->flags);
    block->result = -HOST_EFAULT;
    if (!is_link(block->slot) || !flags || block->flags & SOCKET_THEN_CLOSE ||
        (block->flags & SOCKET_THEN_TELL && !is_connection(block->slot)))
        block->result = -HOST_EBADF;
    else if (from && block->length <= MAX_TRANSFER) {
        block->result = host6(NR_SENDTO, block->slot, (long)from, (long)block->length, flags, 0, 0);
        tell_of_room(block->slot, block->flags, block->result, block->length);
    }
}
