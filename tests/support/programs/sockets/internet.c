/* TCP and UDP over the loopback, both versions: addresses, ports, connections and their ends. */
#include "said.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

static char bytes[1 << 20];

union name {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

static socklen_t named(union name *to, const char *host, int port) {
    memset(to, 0, sizeof *to);
    if (inet_pton(AF_INET, host, &to->four.sin_addr) == 1) {
        to->any.sa_family = AF_INET;
        to->four.sin_port = htons((unsigned short)port);
        return sizeof to->four;
    }
    inet_pton(AF_INET6, host, &to->six.sin6_addr);
    to->any.sa_family = AF_INET6;
    to->six.sin6_port = htons((unsigned short)port);
    return sizeof to->six;
}

static int bound(int fd, const char *host, int port) {
    union name to;
    socklen_t length = named(&to, host, port);
    return bind(fd, &to.any, length);
}

static int linked(int fd, const char *host, int port) {
    union name to;
    socklen_t length = named(&to, host, port);
    return connect(fd, &to.any, length);
}

static ssize_t sent_to(int fd, size_t size, const char *host, int port) {
    union name to;
    socklen_t length = named(&to, host, port);
    return sendto(fd, bytes, size, 0, &to.any, length);
}

/* Ports that were chosen are told only as such. */
static void show(const union name *of, socklen_t length, int known) {
    char host[64] = "";
    int port = ntohs(of->four.sin_port);
    if (length)
        inet_ntop(of->any.sa_family,
                  of->any.sa_family == AF_INET6 ? (const void *)&of->six.sin6_addr
                                                : (const void *)&of->four.sin_addr,
                  host, sizeof host);
    printf("  %u %s %s\n", length, host, !port ? "none" : port == known ? "known" : "chosen");
}

static int show_name(int fd, int peer, int known) {
    union name of;
    socklen_t length = sizeof of;
    int result = peer ? getpeername(fd, &of.any, &length) : getsockname(fd, &of.any, &length);
    int error = errno;
    if (result)
        printf("  no name: %s\n", strerror(error));
    else
        show(&of, length, known);
    return result ? 0 : ntohs(of.four.sin_port);
}

static int port_of(int fd) {
    union name of;
    socklen_t length = sizeof of;
    return getsockname(fd, &of.any, &length) ? 0 : ntohs(of.four.sin_port);
}

static int option(int fd, int level, int name) {
    int value = -7;
    socklen_t length = sizeof value;
    return getsockopt(fd, level, name, &value, &length) ? -errno : value;
}

static int set(int fd, int level, int name, int value) {
    return setsockopt(fd, level, name, &value, sizeof value);
}

static int listening(int family, const char *host, int *port) {
    int fd = socket(family, SOCK_STREAM, 0);
    bound(fd, host, 0);
    listen(fd, 8);
    *port = port_of(fd);
    return fd;
}

static void kinds(void) {
    static const int asked[][3] = {{2, 1, 0},   {2, 1, 6},   {2, 2, 17},    {2, 2, 0}, {10, 1, 0},
                                   {2, 5, 0},   {2, 1, 17},  {2, 2, 6},     {2, 4, 0}, {2, 1, -1},
                                   {2, 1, 263}, {10, 2, 17}, {2, 0x801, 0}, {2, 3, 0}, {2, 12, 0}};
    for (unsigned i = 0; i < sizeof asked / sizeof *asked; i++) {
        int fd = socket(asked[i][0], asked[i][1], asked[i][2]);
        int error = errno;
        printf("socket %u: %d %s ", i, fd >= 0, fd < 0 ? strerror(error) : "");
        if (fd >= 0)
            printf("%d %d %d", option(fd, SOL_SOCKET, SO_TYPE), option(fd, SOL_SOCKET, SO_DOMAIN),
                   option(fd, SOL_SOCKET, SO_PROTOCOL));
        puts("");
        if (fd >= 0)
            READY(fd);
        close(fd);
    }
    int pair[2];
    SAY(socketpair(AF_INET, SOCK_STREAM, 0, pair));
}

static void ports(void) {
    int a = socket(AF_INET, SOCK_STREAM, 0), b = socket(AF_INET, SOCK_STREAM, 0);
    union name to;
    show_name(a, 0, 0), show_name(a, 1, 0);
    SAY(bound(a, "192.0.2.1", 0));
    SAY(bound(a, "::1", 0));
    SAY(bind(a, &to.any, 4));
    SAY(bound(a, "127.0.0.1", 0));
    int port = show_name(a, 0, 0);
    SAY(bound(a, "127.0.0.1", 0));
    SAY(bound(b, "127.0.0.1", port));
    SAY(bound(b, "0.0.0.0", port));
    SAY(bound(b, "127.0.0.2", port));
    show_name(b, 0, port);
    int c = socket(AF_INET, SOCK_STREAM, 0), d = socket(AF_INET, SOCK_STREAM, 0);
    set(a, SOL_SOCKET, SO_REUSEADDR, 1), set(c, SOL_SOCKET, SO_REUSEADDR, 1);
    SAY(bound(c, "127.0.0.1", port));
    SAY(listen(a, 1));
    SAY(listen(c, 1));
    SAY(bound(d, "0.0.0.0", port));
    set(d, SOL_SOCKET, SO_REUSEADDR, 1);
    SAY(bound(d, "0.0.0.0", port));
    close(a), close(b), close(c), close(d);
    a = socket(AF_INET, SOCK_STREAM, 0), b = socket(AF_INET, SOCK_STREAM, 0);
    set(a, SOL_SOCKET, SO_REUSEPORT, 1), set(b, SOL_SOCKET, SO_REUSEPORT, 1);
    SAY(bound(a, "0.0.0.0", port));
    SAY(bound(b, "0.0.0.0", port));
    SAY(listen(a, 1));
    SAY(listen(b, 1));
    close(a), close(b);
    a = socket(AF_INET6, SOCK_STREAM, 0), b = socket(AF_INET, SOCK_STREAM, 0);
    SAY(bound(a, "::", port));
    SAY(set(a, SOL_IPV6, IPV6_V6ONLY, 1));
    SAY(bound(b, "0.0.0.0", port));
    close(a);
    a = socket(AF_INET6, SOCK_STREAM, 0);
    SAY(set(a, SOL_IPV6, IPV6_V6ONLY, 1));
    SAY(bound(a, "::ffff:127.0.0.1", port));
    SAY(bound(a, "::", port));
    SAY(bound(b, "0.0.0.0", port));
    SAY(listen(a, 4));
    c = socket(AF_INET, SOCK_STREAM, 0);
    SAY(linked(c, "127.0.0.1", port));
    SAY(listen(b, 4));
    SAY(linked(c, "127.0.0.1", port));
    d = socket(AF_INET6, SOCK_STREAM, 0);
    SAY(linked(d, "::", port));
    show_name(d, 0, 0), show_name(d, 1, port);
    close(a), close(b), close(c), close(d);
}

static void connections(void) {
    int port, l = listening(AF_INET, "127.0.0.1", &port), s;
    int a = socket(AF_INET, SOCK_STREAM, 0), b = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    union name of;
    socklen_t length = sizeof of;
    READY(l), READY(a);
    SAY(send(a, "x", 1, 0));
    SAY(recv(a, bytes, 1, 0));
    SAY(shutdown(a, SHUT_RDWR));
    close(a);
    a = socket(AF_INET, SOCK_STREAM, 0);
    SAY(recv(l, bytes, 1, 0));
    SAY(linked(l, "127.0.0.1", port));
    SAY(linked(a, "127.0.0.1", port));
    SAY(linked(a, "127.0.0.1", port));
    show_name(a, 0, 0), show_name(a, 1, port);
    READY(l), READY(a);
    SAY((s = accept(l, &of.any, &length)) >= 0);
    show(&of, length, port_of(a));
    show_name(s, 0, port), show_name(s, 1, port_of(a));
    SAY(linked(b, "127.0.0.1", port));
    READY(b);
    SAY(linked(b, "127.0.0.1", port));
    SAY(linked(b, "127.0.0.1", port));
    SAY(option(b, SOL_SOCKET, SO_ERROR));
    close(b);
    SAY(send(a, "hello", 5, 0));
    SAY(recv(s, bytes, 3, MSG_PEEK));
    SAY(recv(s, bytes, 1, MSG_TRUNC));
    SAY(recv(s, bytes, 9, 0));
    printf("%.4s\n", bytes);
    SAY(recv(s, bytes, 9, MSG_DONTWAIT));
    SAY(sent_to(s, 3, "127.0.0.9", 9));
    int unread;
    SAY(ioctl(a, FIONREAD, &unread));
    printf("%d\n", unread);
    length = sizeof of;
    SAY(recvfrom(a, bytes, 9, 0, &of.any, &length));
    printf("%u\n", length);
    SAY(shutdown(a, SHUT_WR));
    READY(a), READY(s);
    SAY(send(a, "x", 1, 0));
    SAY(recv(s, bytes, 9, 0));
    SAY(send(s, "back", 4, 0));
    SAY(recv(a, bytes, 2, 0));
    SAY(shutdown(s, SHUT_WR));
    READY(a), READY(s);
    SAY(recv(a, bytes, 9, 0));
    SAY(recv(a, bytes, 9, 0));
    show_name(a, 1, port);
    SAY(shutdown(s, SHUT_WR));
    close(a), close(s), close(l);
}

static void joined(int pair[2]) {
    int port, l = listening(AF_INET, "127.0.0.1", &port);
    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    linked(pair[0], "127.0.0.1", port);
    pair[1] = accept(l, NULL, NULL);
    close(l);
}

static void ends(void) {
    int pair[2], port, l;
    joined(pair);
    close(pair[1]);
    READY(pair[0]);
    SAY(recv(pair[0], bytes, 9, 0));
    SAY(send(pair[0], "lost", 4, 0));
    READY(pair[0]);
    SAY(recv(pair[0], bytes, 9, 0));
    SAY(send(pair[0], "x", 1, 0));
    SAY(send(pair[0], "x", 1, 0));
    close(pair[0]);
    joined(pair);
    SAY(send(pair[0], "unread", 6, 0));
    SAY(send(pair[1], "still there", 11, 0));
    close(pair[1]);
    READY(pair[0]);
    SAY(recv(pair[0], bytes, 20, 0));
    SAY(recv(pair[0], bytes, 20, 0));
    SAY(recv(pair[0], bytes, 20, 0));
    SAY(send(pair[0], "x", 1, MSG_NOSIGNAL));
    close(pair[0]);
    joined(pair);
    struct linger at_once = {1, 0};
    SAY(setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
    close(pair[1]);
    READY(pair[0]);
    SAY(send(pair[0], "x", 1, 0));
    SAY(send(pair[0], "x", 1, 0));
    SAY(linked(pair[0], "127.0.0.1", 9));
    close(pair[0]);
    joined(pair);
    SAY(shutdown(pair[0], SHUT_RD));
    READY(pair[0]);
    SAY(send(pair[1], "after", 5, 0));
    SAY(recv(pair[0], bytes, 9, 0));
    SAY(recv(pair[0], bytes, 9, 0));
    SAY(shutdown(pair[1], SHUT_RDWR));
    READY(pair[1]);
    READY(pair[0]);
    close(pair[0]), close(pair[1]);
    l = listening(AF_INET, "127.0.0.1", &port);
    int a = socket(AF_INET, SOCK_STREAM, 0), b = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    SAY(linked(a, "127.0.0.1", port));
    close(l);
    READY(a);
    SAY(recv(a, bytes, 9, 0));
    SAY(linked(b, "127.0.0.1", port));
    READY(b);
    SAY(option(b, SOL_SOCKET, SO_ERROR));
    READY(b);
    SAY(linked(b, "127.0.0.1", port));
    SAY(linked(b, "127.0.0.1", port));
    SAY(linked(b, "127.0.0.1", port));
    close(a), close(b);
    a = socket(AF_INET, SOCK_STREAM, 0);
    SAY(linked(a, "127.0.0.1", port));
    show_name(a, 0, 0);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    joined(pair);
    SAY(connect(pair[0], &none, sizeof none));
    READY(pair[0]), READY(pair[1]);
    SAY(recv(pair[1], bytes, 9, 0));
    show_name(pair[0], 0, 0);
    close(a), close(pair[0]), close(pair[1]);
    l = listening(AF_INET, "127.0.0.1", &port);
    SAY(shutdown(l, SHUT_RD));
    SAY(accept(l, NULL, NULL));
    SAY(option(l, SOL_SOCKET, SO_ACCEPTCONN));
    show_name(l, 0, port);
    close(l);
}

static void versions(void) {
    int port, l = listening(AF_INET6, "::", &port), s;
    int a = socket(AF_INET, SOCK_STREAM, 0), b = socket(AF_INET6, SOCK_STREAM, 0);
    SAY(linked(a, "127.0.0.3", port));
    s = accept(l, NULL, NULL);
    show_name(s, 0, port), show_name(s, 1, port_of(a)), show_name(a, 0, 0), show_name(a, 1, port);
    close(s);
    SAY(linked(b, "::ffff:127.0.0.1", port));
    s = accept(l, NULL, NULL);
    show_name(s, 0, port), show_name(s, 1, port_of(b)), show_name(b, 0, 0), show_name(b, 1, port);
    close(s), close(b), close(a);
    b = socket(AF_INET6, SOCK_STREAM, 0);
    SAY(linked(b, "127.0.0.1", port));
    SAY(linked(b, "::1", port));
    s = accept(l, NULL, NULL);
    show_name(s, 0, port), show_name(b, 0, 0);
    close(s), close(b), close(l);
}

static void datagrams(void) {
    int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    int c = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    union name of;
    socklen_t length = sizeof of;
    bytes[0] = 'd';
    SAY(listen(a, 1));
    SAY(accept(a, NULL, NULL));
    SAY(send(a, "x", 1, 0));
    SAY(shutdown(a, SHUT_RDWR));
    close(a);
    a = socket(AF_INET, SOCK_DGRAM, 0);
    SAY(bound(a, "127.0.0.1", 0));
    int port = port_of(a);
    SAY(sent_to(b, 5, "127.0.0.1", port));
    show_name(b, 0, 0);
    SAY(recvfrom(a, bytes, 3, MSG_PEEK, &of.any, &length));
    show(&of, length, port_of(b));
    SAY(recv(a, bytes, 3, MSG_TRUNC));
    SAY(recv(a, bytes, 3, MSG_DONTWAIT));
    SAY(sent_to(b, 0, "127.0.0.1", port));
    READY(a);
    SAY(recv(a, bytes, 3, 0));
    SAY(sent_to(b, 5, "127.0.0.1", 0));
    SAY(sent_to(b, 5, "::1", port));
    SAY(sent_to(b, 65507, "127.0.0.1", port));
    SAY(recv(a, bytes, sizeof bytes, 0));
    SAY(sent_to(b, 65508, "127.0.0.1", port));
    SAY(sent_to(b, 70000, "127.0.0.1", port));
    SAY(sent_to(b, 5, "0.0.0.0", port));
    SAY(recv(a, bytes, 9, 0));
    SAY(sent_to(c, 5, "::ffff:127.0.0.1", port));
    length = sizeof of;
    SAY(recvfrom(a, bytes, 9, 0, &of.any, &length));
    show(&of, length, port_of(c));
    show_name(c, 0, 0);
    int free_port = port_of(c);
    SAY(linked(b, "127.0.0.1", port));
    show_name(b, 0, 0), show_name(b, 1, port);
    SAY(send(b, "y", 1, 0));
    SAY(recv(a, bytes, 9, 0));
    SAY(sent_to(c, 5, "::ffff:127.0.0.1", port_of(b)));
    SAY(recv(b, bytes, 9, 0));
    close(c);
    SAY(linked(b, "127.0.0.1", free_port));
    SAY(send(b, "z", 1, 0));
    READY(b);
    SAY(send(b, "z", 1, 0));
    SAY(send(b, "z", 1, 0));
    SAY(recv(b, bytes, 9, 0));
    SAY(recv(b, bytes, 9, 0));
    SAY(sent_to(a, 5, "127.0.0.1", free_port));
    SAY(recv(a, bytes, 9, MSG_DONTWAIT));
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    SAY(connect(b, &none, sizeof none));
    show_name(b, 0, 0), show_name(b, 1, 0);
    SAY(send(b, "x", 1, 0));
    SAY(linked(b, "127.0.0.1", port));
    SAY(shutdown(b, SHUT_WR));
    SAY(send(b, "x", 1, 0));
    SAY(shutdown(b, SHUT_RD));
    READY(b);
    SAY(recv(b, bytes, 1, 0));
    close(b);
    b = socket(AF_INET, SOCK_DGRAM, 0);
    SAY(bound(b, "127.0.0.1", port));
    set(a, SOL_SOCKET, SO_REUSEADDR, 1), set(b, SOL_SOCKET, SO_REUSEADDR, 1);
    SAY(bound(b, "127.0.0.1", port));
    SAY(sent_to(a, 5, "127.0.0.1", port));
    READY(a), READY(b);
    close(a), close(b);
}

static void full(void) {
    int pair[2];
    long sent, got, total = 0, back = 0;
    joined(pair);
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    while ((sent = send(pair[0], bytes, sizeof bytes, 0)) > 0)
        total += sent;
    printf("full %s %d\n", strerror(errno), total > 100000);
    READY(pair[0]);
    while (back < total &&
           (got = recv(pair[1], bytes, sizeof bytes, MSG_WAITALL | MSG_DONTWAIT)) > 0)
        back += got;
    printf("%d\n", back == total);
    READY(pair[0]);
    SAY(recv(pair[1], bytes, 1, MSG_DONTWAIT));
    close(pair[0]), close(pair[1]);
}

static int late;

static void *answer(void *own) {
    const struct timespec while_ = {0, 20000000};
    nanosleep(&while_, NULL);
    int port = *(int *)own, fd = socket(AF_INET, SOCK_STREAM, 0);
    linked(fd, "127.0.0.1", port);
    nanosleep(&while_, NULL);
    send(fd, "late", 4, 0);
    nanosleep(&while_, NULL);
    close(fd);
    return own;
}

static void *empty(void *own) {
    long left = 3L * (long)sizeof bytes;
    static char into[100000];
    while (left > 0)
        left -= recv(late, into, sizeof into, 0);
    return own;
}

static void waits(void) {
    pthread_t thread;
    struct timeval time = {0, 30000};
    int port, l = listening(AF_INET, "127.0.0.1", &port), s, pair[2];
    pthread_create(&thread, NULL, answer, &port);
    SAY((s = accept(l, NULL, NULL)) >= 0);
    SAY(recv(s, bytes, 9, MSG_WAITALL));
    pthread_join(thread, NULL);
    setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    SAY(accept(l, NULL, NULL));
    joined(pair);
    late = pair[1];
    pthread_create(&thread, NULL, empty, NULL);
    struct iovec three[3] = {{bytes, sizeof bytes}, {bytes, sizeof bytes}, {bytes, sizeof bytes}};
    SAY(writev(pair[0], three, 3));
    pthread_join(thread, NULL);
    close(l), close(s), close(pair[0]), close(pair[1]);
}

static void queue(void) {
    int port, l = listening(AF_INET, "127.0.0.1", &port), fds[4], got;
    listen(l, 1);
    for (int i = 0; i < 4; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        linked(fds[i], "127.0.0.1", port);
    }
    READY(fds[0]), READY(fds[1]);
    struct pollfd last = {fds[3], POLLOUT, 0};
    printf("%d\n", poll(&last, 1, 0));
    SAY(linked(fds[3], "127.0.0.1", port));
    close(fds[3]);
    SAY((got = accept(l, NULL, NULL)) >= 0);
    close(got), close(l);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

static void options(void) {
    static const int asked[][3] = {{SOL_TCP, TCP_NODELAY, 1},
                                   {SOL_TCP, TCP_CORK, 1},
                                   {SOL_TCP, TCP_KEEPIDLE, 100},
                                   {SOL_TCP, TCP_KEEPINTVL, 0},
                                   {SOL_TCP, TCP_KEEPCNT, 5},
                                   {SOL_TCP, TCP_SYNCNT, 3},
                                   {SOL_TCP, TCP_USER_TIMEOUT, 7},
                                   {SOL_IP, IP_TTL, 33},
                                   {SOL_IP, IP_TTL, 0},
                                   {SOL_IP, IP_TTL, 256},
                                   {SOL_IP, IP_TOS, 16},
                                   {SOL_TCP, 999, 1},
                                   {SOL_IP, 999, 1},
                                   {SOL_IPV6, IPV6_V6ONLY, 1},
                                   {SOL_SOCKET, SO_KEEPALIVE, 1},
                                   {SOL_SOCKET, SO_REUSEPORT, 1},
                                   {SOL_SOCKET, SO_OOBINLINE, 1},
                                   {SOL_SOCKET, SO_RCVBUF, 5000},
                                   {SOL_SOCKET, SO_PASSCRED, 1},
                                   {SOL_SOCKET, SO_BROADCAST, 1},
                                   {IPPROTO_UDP, 1, 1},
                                   {99, 1, 1}};
    for (int kind = 0; kind < 4; kind++) {
        int fd = socket(kind & 2 ? AF_INET6 : AF_INET, kind & 1 ? SOCK_DGRAM : SOCK_STREAM, 0);
        for (unsigned i = 0; i < sizeof asked / sizeof *asked; i++) {
            int level = asked[i][0], name = asked[i][1], before = option(fd, level, name);
            int result = set(fd, level, name, asked[i][2]);
            printf("option %d %d %d: %d %s %d\n", kind, level, name, before,
                   result ? strerror(errno) : "", option(fd, level, name));
        }
        close(fd);
    }
    int pair[2];
    struct tcp_info info;
    socklen_t length = sizeof info;
    joined(pair);
    SAY(getsockopt(pair[0], SOL_TCP, TCP_INFO, &info, &length));
    printf("state %d\n", info.tcpi_state);
    shutdown(pair[0], SHUT_WR);
    length = sizeof info;
    getsockopt(pair[1], SOL_TCP, TCP_INFO, &info, &length);
    printf("state %d\n", info.tcpi_state);
    close(pair[0]), close(pair[1]);
    struct ifreq asked_of = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    SAY(ioctl(fd, SIOCGIFADDR, &asked_of));
    printf("%s\n", inet_ntoa(((struct sockaddr_in *)&asked_of.ifr_addr)->sin_addr));
    SAY(ioctl(fd, SIOCGIFNETMASK, &asked_of));
    printf("%s\n", inet_ntoa(((struct sockaddr_in *)&asked_of.ifr_netmask)->sin_addr));
    SAY(ioctl(fd, SIOCGIFMTU, &asked_of));
    printf("%d\n", asked_of.ifr_mtu);
    SAY(ioctl(fd, SIOCGIFINDEX, &asked_of));
    printf("%d\n", asked_of.ifr_ifindex);
    printf("%s %d %d\n", if_indextoname(1, bytes), if_nametoindex("lo"), if_nametoindex("none"));
    close(fd);
}

static void interfaces(void) {
    struct ifaddrs *all;
    char host[64];
    SAY(getifaddrs(&all));
    for (struct ifaddrs *each = all; each; each = each->ifa_next) {
        if (strcmp(each->ifa_name, "lo"))
            continue;
        int family = each->ifa_addr->sa_family;
        printf("  %d %x", family, each->ifa_flags);
        if (family == AF_INET || family == AF_INET6)
            printf(" %s",
                   inet_ntop(family,
                             family == AF_INET
                                 ? (void *)&((struct sockaddr_in *)each->ifa_addr)->sin_addr
                                 : (void *)&((struct sockaddr_in6 *)each->ifa_addr)->sin6_addr,
                             host, sizeof host));
        puts("");
    }
    freeifaddrs(all);
    struct if_nameindex *names = if_nameindex();
    printf("%u %s\n", names->if_index, names->if_name);
    if_freenameindex(names);
}

static void edges(void) {
    int pair[2];
    joined(pair);
    show_edges(pair, EPOLLIN, 7, 0);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, hear);
    kinds();
    ports();
    connections();
    ends();
    versions();
    datagrams();
    full();
    waits();
    queue();
    options();
    interfaces();
    edges();
    return 0;
}
