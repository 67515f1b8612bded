/* What is in a datagram's header: asked for by the receiver, said by the sender. */
#include "said.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <time.h>

static int own, other; /* sender and receiver */
static struct sockaddr_in6 there;
static socklen_t length;

static void on(int fd, int level, int name, int value) {
    SAY(setsockopt(fd, level, name, &value, sizeof value));
}

static void show(const struct cmsghdr *each) {
    const unsigned char *data = CMSG_DATA(each);
    printf("  %d %d:", each->cmsg_level, each->cmsg_type);
    if (each->cmsg_level == SOL_SOCKET) {
        long came[2], most = each->cmsg_type == SO_TIMESTAMP ? 1000000 : 1000000000;
        memcpy(came, data, sizeof came);
        long ago = time(0) - came[0];
        printf(" %zu bytes, %s\n", (size_t)each->cmsg_len - CMSG_LEN(0),
               ago >= 0 && ago < 9 && came[1] < most ? "now" : "at another time");
        return;
    }
    for (size_t i = 0; i < each->cmsg_len - CMSG_LEN(0); i++)
        printf(" %02x", data[i]);
    printf("\n");
}

static void receive(size_t room) {
    _Alignas(8) char control[200];
    char byte;
    struct iovec vector = {&byte, 1};
    struct sockaddr_in6 from = {.sin6_family = 0};
    struct msghdr got = {
        .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &vector, .msg_iovlen = 1};
    got.msg_control = room ? control : 0, got.msg_controllen = (socklen_t)room;
    if (SAY(recvmsg(other, &got, MSG_DONTWAIT)) < 0)
        return;
    char host[64] = "";
    inet_ntop(from.sin6_family,
              from.sin6_family == AF_INET6 ? (void *)&from.sin6_addr
                                           : (void *)&((struct sockaddr_in *)&from)->sin_addr,
              host, sizeof host);
    printf("  from %s, flags %x, control %d\n", host, got.msg_flags, (int)got.msg_controllen);
    for (struct cmsghdr *each = CMSG_FIRSTHDR(&got); each; each = CMSG_NXTHDR(&got, each))
        show(each);
}

static void one(int level, int kind, const void *data, size_t size) {
    _Alignas(8) char control[100] = "";
    struct iovec vector = {"x", 1};
    struct msghdr sent = {
        .msg_name = &there, .msg_namelen = length, .msg_iov = &vector, .msg_iovlen = 1};
    sent.msg_control = control, sent.msg_controllen = (socklen_t)CMSG_SPACE(size);
    struct cmsghdr *head = CMSG_FIRSTHDR(&sent);
    head->cmsg_len = (socklen_t)CMSG_LEN(size), head->cmsg_level = level, head->cmsg_type = kind;
    memcpy(CMSG_DATA(head), data, size);
    if (SAY(sendmsg(own, &sent, 0)) >= 0)
        receive(200);
}

static void number(int level, int kind, int value, size_t size) {
    printf("%d %d = %d (%zu)\n", level, kind, value, size);
    one(level, kind, &(long){value}, size);
}

static void pair(int family, int to, const char *host) {
    printf("%d to %d at %s\n", family, to, host);
    own = socket(family, SOCK_DGRAM, 0), other = socket(to, SOCK_DGRAM, 0);
    struct sockaddr_in6 at = {.sin6_family = (sa_family_t)to};
    length = sizeof at;
    SAY(bind(other, (void *)&at, to == AF_INET ? 16 : 28));
    getsockname(other, (void *)&at, &length);
    there = (struct sockaddr_in6){.sin6_family = (sa_family_t)family, .sin6_port = at.sin6_port};
    if (family == AF_INET)
        inet_pton(AF_INET, host, &((struct sockaddr_in *)&there)->sin_addr);
    else
        inet_pton(AF_INET6, host, &there.sin6_addr);
    length = family == AF_INET ? 16 : 28;
}

static void plain(size_t room) {
    SAY(sendto(own, "x", 1, 0, (void *)&there, length));
    receive(room);
}

static void version_4(void) {
    struct in_pktinfo info = {.ipi_spec_dst = {htonl(0x7f000002)}};
    plain(200);
    on(other, SOL_IP, IP_RECVTTL, 1), on(other, SOL_IP, IP_PKTINFO, 1);
    on(other, SOL_IP, IP_RECVTOS, 1);
    plain(200);
    on(own, SOL_IP, IP_TTL, 9), on(own, SOL_IP, IP_TOS, 0x20);
    plain(200);
    for (size_t room = 0; room < 90; room += 7)
        plain(room);
    for (int value = -2; value < 300; value += 51)
        number(SOL_IP, IP_TTL, value, 4), number(SOL_IP, IP_TOS, value, 4);
    number(SOL_IP, IP_TOS, 0x40, 1), number(SOL_IP, IP_TTL, 3, 1), number(SOL_IP, IP_TOS, 1, 3);
    number(SOL_IP, 99, 3, 4), number(SOL_IPV6, IPV6_HOPLIMIT, 3, 4), number(77, 3, 3, 4);
    number(SOL_SOCKET, SCM_RIGHTS, 1, 4), number(SOL_SOCKET, 99, 1, 4);
    one(SOL_IP, IP_PKTINFO, &info, sizeof info);
    one(SOL_IP, IP_PKTINFO, &info, sizeof info - 1);
    number(IPPROTO_UDP, 1, 3, 4);
    static const unsigned others[] = {0xc0000201, 0xe0000001, 0xffffffff, 1};
    for (int i = 0; i < 4; i++) {
        info.ipi_spec_dst.s_addr = htonl(others[i]);
        one(SOL_IP, IP_PKTINFO, &info, sizeof info);
    }
}

static void version_6(void) {
    struct in6_pktinfo info = {.ipi6_addr = IN6ADDR_LOOPBACK_INIT};
    plain(200);
    on(other, SOL_IPV6, IPV6_RECVHOPLIMIT, 1), on(other, SOL_IPV6, IPV6_RECVPKTINFO, 1);
    on(other, SOL_IPV6, IPV6_RECVTCLASS, 1);
    plain(200);
    on(own, SOL_IPV6, IPV6_UNICAST_HOPS, 9), on(own, SOL_IPV6, IPV6_TCLASS, 0x20);
    plain(200);
    for (size_t room = 0; room < 100; room += 7)
        plain(room);
    for (int value = -2; value < 300; value += 51)
        number(SOL_IPV6, IPV6_HOPLIMIT, value, 4), number(SOL_IPV6, IPV6_TCLASS, value, 4);
    number(SOL_IPV6, IPV6_HOPLIMIT, 0, 4), number(SOL_IPV6, IPV6_HOPLIMIT, -1, 4);
    number(SOL_IPV6, IPV6_HOPLIMIT, 3, 1), number(SOL_IPV6, 99, 3, 4), number(SOL_IP, 2, 3, 4);
    one(SOL_IPV6, IPV6_PKTINFO, &info, sizeof info);
    one(SOL_IPV6, IPV6_PKTINFO, &info, sizeof info - 1);
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &info.ipi6_addr);
    one(SOL_IPV6, IPV6_PKTINFO, &info, sizeof info);
    inet_pton(AF_INET6, "2001:db8::1", &info.ipi6_addr);
    one(SOL_IPV6, IPV6_PKTINFO, &info, sizeof info);
}

static void times(void) {
    on(other, SOL_SOCKET, SO_TIMESTAMP, 1), plain(200), plain(30), plain(0);
    on(other, SOL_SOCKET, SO_TIMESTAMPNS, 1), plain(200);
    on(other, SOL_IP, IP_PKTINFO, 1), plain(200);
    on(other, SOL_SOCKET, SO_TIMESTAMP, 0), plain(200);
}

int main(void) {
    pair(AF_INET, AF_INET, "127.0.0.1"), version_4();
    pair(AF_INET, AF_INET, "127.0.0.9"), on(other, SOL_IP, IP_PKTINFO, 1), plain(200);
    pair(AF_INET, AF_INET, "127.0.0.1"), times();
    pair(AF_INET6, AF_INET6, "::1"), version_6();
    pair(AF_INET, AF_INET6, "127.0.0.3");
    on(other, SOL_IPV6, IPV6_RECVPKTINFO, 1), on(other, SOL_IPV6, IPV6_RECVHOPLIMIT, 1);
    on(other, SOL_IP, IP_RECVTTL, 1), plain(200);
    pair(AF_INET6, AF_INET, "::ffff:127.0.0.1"), version_4();
    return 0;
}
