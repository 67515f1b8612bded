/* UDP: servers and clients that say what they see. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { AT_ONCE = 4, LARGEST = 65507 };

struct place {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t size;
};

static char bytes[AT_ONCE][LARGEST];

static struct place place(const char *host, int port) {
    struct place to = {.size = sizeof to.v4};
    to.v4.sin_family = AF_INET;
    if (inet_pton(AF_INET, host, &to.v4.sin_addr) != 1) {
        to.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6};
        inet_pton(AF_INET6, host, &to.v6.sin6_addr);
        to.size = sizeof to.v6;
    }
    to.v4.sin_port = htons((unsigned short)port);
    return to;
}

static void must(long result, const char *what) {
    if (result >= 0)
        return;
    printf("%s: %s\n", what, strerror(errno));
    exit(1);
}

static int bound(const struct place *at) {
    int on = 1, fd = socket(at->any.sa_family, SOCK_DGRAM, 0);
    must(fd, "socket");
    must(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), "SO_REUSEPORT");
    must(bind(fd, &at->any, at->size), "bind");
    return fd;
}

static void shout(char *at, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (at[i] >= 'a' && at[i] <= 'z')
            at[i] -= 32;
}

/* Each gets what it said, in capitals. */
static void serve(int fd, int count) {
    while (count--) {
        struct place from = {.size = sizeof from.v6};
        ssize_t got = recvfrom(fd, bytes[0], LARGEST, 0, &from.any, &from.size);
        must(got, "recvfrom");
        shout(bytes[0], (size_t)got);
        must(sendto(fd, bytes[0], (size_t)got, 0, &from.any, from.size), "sendto");
    }
}

/* The same, several at a time, by epoll. */
static void serve_several(int fd, int count) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    int set = epoll_create1(0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    must(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    while (count > 0) {
        struct mmsghdr all[AT_ONCE] = {0};
        struct iovec pieces[AT_ONCE];
        struct place from[AT_ONCE];
        for (int i = 0; i < AT_ONCE; i++) {
            pieces[i] = (struct iovec){bytes[i], LARGEST};
            all[i].msg_hdr =
                (struct msghdr){&from[i].any, sizeof from[i].v6, &pieces[i], 1, 0, 0, 0};
        }
        int got = recvmmsg(fd, all, AT_ONCE, 0, NULL);
        if (got < 0 && errno == EAGAIN) {
            must(epoll_wait(set, &event, 1, -1), "epoll_wait");
            continue;
        }
        must(got, "recvmmsg");
        for (int i = 0; i < got; i++) {
            shout(bytes[i], all[i].msg_len);
            pieces[i].iov_len = all[i].msg_len;
        }
        if (sendmmsg(fd, all, (unsigned)got, 0) != got)
            must(-1, "sendmmsg");
        count -= got;
    }
}

/* All of them are heard before the first one is answered. */
static void serve_late(int fd, int count) {
    struct place from[64];
    for (int i = 0; i < count; i++) {
        from[i].size = sizeof from[i].v6;
        must(recvfrom(fd, bytes[0], LARGEST, 0, &from[i].any, &from[i].size), "recvfrom");
    }
    for (int i = 0; i < count; i++)
        must(sendto(fd, "late", 4, 0, &from[i].any, from[i].size), "sendto");
}

/* A socket for each peer, which is connected to it: what it sends comes there. */
static void serve_each(const struct place *at, int fd, int count) {
    struct place from = {.size = sizeof from.v6};
    must(recvfrom(fd, bytes[0], LARGEST, 0, &from.any, &from.size), "recvfrom");
    int own = bound(at);
    must(connect(own, &from.any, from.size), "connect");
    must(send(own, "connected", 9, 0), "send");
    while (--count) {
        ssize_t got = recv(own, bytes[0], LARGEST, 0);
        must(got, "recv");
        shout(bytes[0], (size_t)got);
        must(send(own, bytes[0], (size_t)got, 0), "send");
    }
    must(-(recv(fd, bytes[0], LARGEST, MSG_DONTWAIT) >= 0), "a datagram of another socket's");
}

/* Who wrote is answered; what is sent to another address first tells how that ends. */
static void serve_strange(int fd, const char *host, int port) {
    struct place from = {.size = sizeof from.v6}, to = place(host, port);
    ssize_t got = recvfrom(fd, bytes[0], LARGEST, 0, &from.any, &from.size);
    must(got, "recvfrom");
    long sent = sendto(fd, "stolen", 6, 0, &to.any, to.size);
    printf("%s\n", sent < 0 ? strerror(errno) : "sent");
    must(sendto(fd, bytes[0], (size_t)got, 0, &from.any, from.size), "sendto");
}

static void tell_answer(int fd) {
    struct place from = {.size = sizeof from.v6};
    struct pollfd one = {fd, POLLIN, 0};
    char text[64] = "";
    if (poll(&one, 1, 3000) != 1) {
        puts("nothing came");
        return;
    }
    ssize_t got = recvfrom(fd, bytes[0], LARGEST, 0, &from.any, &from.size);
    must(got, "recvfrom");
    if (from.any.sa_family == AF_INET)
        inet_ntop(AF_INET, &from.v4.sin_addr, text, sizeof text);
    else
        inet_ntop(AF_INET6, &from.v6.sin6_addr, text, sizeof text);
    printf("%zd bytes from %s port %d: %.*s\n", got, text, ntohs(from.v4.sin_port),
           (int)(got < 9 ? got : 9), bytes[0]);
}

/* connect and send, or sendto, of so many bytes; what comes back. */
static void ask(const struct place *to, bool connects, int size) {
    int fd = socket(to->any.sa_family, SOCK_DGRAM, 0);
    memset(bytes[0], 'a', LARGEST);
    if (connects)
        must(connect(fd, &to->any, to->size), "connect");
    must(sendto(fd, bytes[0], (size_t)size, 0, connects ? NULL : &to->any, connects ? 0 : to->size),
         "sendto");
    tell_answer(fd);
}

int main(int argc, char **argv) {
    if (argc < 5) /* for who looks at what is beside it */
        return 0;
    const char *mode = argv[1];
    const struct place at = place(argv[2], atoi(argv[3]));
    int count = atoi(argv[4]);
    if (!strcmp(mode, "connect") || !strcmp(mode, "sendto")) {
        ask(&at, !strcmp(mode, "connect"), count);
        return 0;
    }
    int fd = bound(&at);
    puts("listening");
    fflush(stdout);
    if (!strcmp(mode, "serve"))
        serve(fd, count);
    else if (!strcmp(mode, "several"))
        serve_several(fd, count);
    else if (!strcmp(mode, "late"))
        serve_late(fd, count);
    else if (!strcmp(mode, "each"))
        serve_each(&at, fd, count);
    else
        serve_strange(fd, argv[5], count);
    return 0;
}
