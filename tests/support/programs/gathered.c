/* What a program was told that it has sent arrives, however it goes on from there. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void cork(int fd, int on) {
    setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

/* Each byte is another than its neighbours. */
static long fill(int fd, long sent, long size, int flags) {
    static unsigned char bytes[20000];
    for (long i = 0; i < size; i++)
        bytes[i] = (unsigned char)((sent + i) % 251);
    return send(fd, bytes, size, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A request and its answer in two pieces, often enough that it is known how this program goes on.
 */
static long answer(int set, int fd) {
    char bytes[100];
    struct epoll_event event;
    long sent = 0;
    for (int i = 0; i < 40; i++) {
        if (epoll_wait(set, &event, 1, 10000) != 1 || recv(fd, bytes, sizeof bytes, 0) <= 0)
            return -1;
        if (i % 3 == 0)
            cork(fd, 1);
        sent += fill(fd, sent, 5, i % 3 == 1 ? MSG_MORE : 0);
        sent += fill(fd, sent, 6, 0);
        if (i % 3 == 0)
            cork(fd, 0);
    }
    return sent;
}

int main(int argc, char **argv) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), set = epoll_create1(0), on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    (void)argc;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (void *)&at, sizeof at) || listen(listener, 5))
        return 1;
    printf("listening\n"), fflush(stdout);
    int fd = accept(listener, NULL, NULL);
    struct epoll_event event = {EPOLLIN, {.fd = fd}};
    epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
    long sent = answer(set, fd), got;
    if (!strcmp(argv[1], "unread")) {
        char byte;
        epoll_wait(set, &event, 1, 10000);
        printf("took %zd of what came\n", recv(fd, &byte, 1, 0));
        return close(fd);
    }
    if (!strcmp(argv[1], "peek")) {
        char bytes[6];
        epoll_wait(set, &event, 1, 10000);
        got = recv(fd, bytes, sizeof bytes, MSG_PEEK | MSG_WAITALL);
        printf("%.*s\n", (int)got, bytes);
        return 0;
    }
    if (!strcmp(argv[1], "more")) { /* it ends, and nothing but this is left to send */
        sent += fill(fd, sent, 5, MSG_MORE);
        printf("%ld\n", sent), fflush(stdout);
        return 0;
    }
    /* Until there is no room at all, in pieces that are gathered and, first, in others too. */
    cork(fd, 1);
    for (int misses = 0, i = 0; misses < 3; i++) {
        got =
            fill(fd, sent, i < 30 && i % 7 == 0 ? 20000 : 1 + i * 37 % 3000, i % 5 ? 0 : MSG_MORE);
        if (got < 0) {
            misses++, epoll_wait(set, &event, 1, 1);
            continue;
        }
        sent += got;
    }
    printf("%ld\n", sent), fflush(stdout);
    if (!strcmp(argv[1], "shut")) {
        char byte;
        shutdown(fd, SHUT_WR);
        return recv(fd, &byte, 1, 0) != 1;
    }
    if (!strcmp(argv[1], "deaf")) { /* an end at once, whatever is still to be sent */
        char byte;
        shutdown(fd, SHUT_RD);
        return recv(fd, &byte, 1, MSG_DONTWAIT) != 0;
    }
    if (!strcmp(argv[1], "close")) {
        close(fd);
        fd = accept(listener, NULL, NULL);
    }
    return 0; /* or it ends */
}
