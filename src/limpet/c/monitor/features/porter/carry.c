/*
 * Datagrams of published ports.
 *
 * What comes to a port goes to the guest with the address that it came from, which is remembered.
 * What the guest sends goes to such an address and nowhere else, from the port that was written to.
 * Where the guest does not take what came, the rest waits in the host, which drops what is too
 * much.
 */
#include "carried.h"
#include "peers.h"

enum { AT_A_TIME = 16 };

/* A struct sockaddr of the guest's as the log has addresses. */
static struct broker_request destination(const u8 *address) {
    struct broker_request to = {.what = BROKER_UDP, .port = (u32)address[2] << 8 | address[3]};
    bool version_6 = address[0] == AF_INET6;
    to.address[10] = to.address[11] = 0xff;
    for (u32 i = version_6 ? 0 : 12; i < sizeof to.address; i++)
        to.address[i] = address[version_6 ? 8 + i : i - 8];
    return to;
}

/* What came to a port; false: nothing more now. */
static bool carry_in(struct porter *porter, u64 index, struct carried *datagram) {
    u32 size = SOCKET_ADDRESS_SIZE;
    for (u32 i = 0; i < sizeof datagram->address; i++)
        datagram->address[i] = 0;
    long got = host6(NR_RECVFROM, (long)(PORTER_PORTS + index), (long)datagram->bytes,
                     DATAGRAM_MOST, DO_NOT_WAIT, (long)datagram->address, (long)&size);
    if (got < 0)
        return got != -HOST_EAGAIN && got != -HOST_EINTR;
    peer_heard(&porter->peers[index], datagram->address);
    long sent = host6(NR_SENDTO, (long)(PORTER_PAIRS + index), (long)datagram,
                      (long)CARRIED_HEAD + got, DO_NOT_WAIT | NO_SIGNAL, 0, 0);
    porter->full[index] = sent == -HOST_EAGAIN;
    return !porter->full[index];
}

static void refuse_datagram(struct porter *porter, const struct carried *datagram) {
    const struct broker_request to = destination(datagram->address);
    log_connection(&porter->pace, porter_clock(), &to, "nothing has come from there to the port");
}

/* What the guest sends; false: nothing more now, or the guest has ended. */
static bool carry_out(struct porter *porter, u64 index, struct carried *datagram) {
    long got = host6(NR_RECVFROM, (long)(PORTER_PAIRS + index), (long)datagram, sizeof *datagram,
                     DO_NOT_WAIT, 0, 0);
    if (got == -HOST_EAGAIN || got == -HOST_EINTR)
        return false;
    porter->ended |= got <= 0;
    if (got < (long)CARRIED_HEAD)
        return got > 0;
    const struct peer *peer = peer_known(&porter->peers[index], datagram->address);
    if (!peer)
        refuse_datagram(porter, datagram);
    else
        host6(NR_SENDTO, (long)(PORTER_PORTS + index), (long)datagram->bytes,
              got - (long)CARRIED_HEAD, DO_NOT_WAIT | NO_SIGNAL, (long)peer->address,
              peer->address[0] == AF_INET6 ? SOCKET_ADDRESS_SIZE : SIZE_OF_4);
    return true;
}

static void await_ports(const struct porter *porter, struct pollfd *fds) {
    for (u64 i = 0; i < CARRIERS; i++) {
        u16 room = porter->full[i] ? POLLOUT : 0;
        fds[2 * i] = (struct pollfd){porter->full[i] ? -1 : PORTER_PORTS + (s32)i, POLLIN, 0};
        fds[2 * i + 1] = (struct pollfd){PORTER_PAIRS + (s32)i, POLLIN | room, 0};
    }
}

static void carry_all(struct porter *porter, const struct pollfd *fds) {
    struct carried datagram;
    for (u64 i = 0; i < CARRIERS; i++) {
        if (fds[2 * i + 1].ready)
            porter->full[i] = false;
        for (u32 turn = 0; fds[2 * i].ready && turn < AT_A_TIME; turn++)
            if (!carry_in(porter, i, &datagram))
                break;
        for (u32 turn = 0; fds[2 * i + 1].ready && turn < AT_A_TIME; turn++)
            if (!carry_out(porter, i, &datagram))
                break;
    }
}
