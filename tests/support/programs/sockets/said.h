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

static void show_events(int fd) {
    struct pollfd all = {fd, 0x2fff & ~POLLNVAL, 0};
    int count = poll(&all, 1, 0);
    printf("  ready %d %x\n", count, all.revents & 0xffff);
}
#define READY(fd) (printf("%d", __LINE__), show_events(fd))
