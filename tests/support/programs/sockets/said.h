/* A line for each call: what it gave, and its error's name. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static volatile int heard;

static long say(int line, const char *what, long result) {
    int error = errno;
    printf("%d %s = %ld %s", line, what, result, result < 0 ? strerror(error) : "");
    printf(heard ? " SIGPIPE %d\n" : "\n", heard);
    heard = 0;
    return result;
}
#define SAY(what) say(__LINE__, #what, what)

static void hear(int number) {
    (void)number;
    heard++;
}

/* What an edge-triggered epoll tells of the first of two, while the second acts. */
static void show_edges(int pair[2], unsigned events, int steps, int leaves) {
    struct epoll_event event = {.events = events | EPOLLRDHUP | EPOLLET}, got;
    int epoll = epoll_create1(0);
    char byte;
    epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event);
    for (int step = 0; step < steps; step++) {
        got.events = 0;
        int count = epoll_wait(epoll, &got, 1, 0);
        printf("edge %d %x\n", count, got.events);
        if (step == 0 || step == 1)
            send(pair[1], "x", 1, 0);
        if (step == 2)
            recv(pair[0], &byte, 1, 0);
        if (step == 3)
            shutdown(pair[1], SHUT_WR);
        if (step == 4 && leaves)
            close(pair[1]);
        if (step == 4 && !leaves)
            shutdown(pair[0], SHUT_WR);
    }
    close(pair[0]), close(epoll);
    if (!leaves)
        close(pair[1]);
}

static void show_events(int fd) {
    struct pollfd all = {fd, 0x2fff & ~POLLNVAL, 0};
    int count = poll(&all, 1, 0);
    printf("  ready %d %x\n", count, all.revents & 0xffff);
}
#define READY(fd) (printf("%d", __LINE__), show_events(fd))
