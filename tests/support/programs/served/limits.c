/* What is said where no descriptor is left, and of which argument first. */
#define _GNU_SOURCE
#include "served.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

enum { FEW = 12, MANY = 600 };
static struct rlimit before;

static void limit(long now) {
    struct rlimit wanted = {(rlim_t)now, before.rlim_max};
    SHOW("limit", setrlimit(RLIMIT_NOFILE, &wanted));
}

static void fill(void) {
    int last = 2, fd;
    while ((fd = dup(1)) >= 0)
        last = fd;
    printf("  up to %d, %d\n", last, errno);
}

static void begin(void) {
    getrlimit(RLIMIT_NOFILE, &before);
    limit(FEW);
}

static void end(void) {
    for (int fd = 3; fd < MANY; fd++)
        close(fd);
    setrlimit(RLIMIT_NOFILE, &before);
}

static void told(void) {
    char text[4096] = "";
    printf("  %ld %d\n", sysconf(_SC_OPEN_MAX), getdtablesize());
    int fd = open("/proc/self/limits", O_RDONLY);
    if (fd < 0)
        return;
    for (long size = 0, got; (got = read(fd, text + size, sizeof text - 1 - (size_t)size)) > 0;)
        size += got;
    close(fd);
    const char *line = strstr(text, "Max open files");
    printf("  %.40s, %ld\n", line, (long)(strchr(line, '\n') - line));
}

static void limits_are_told(void) {
    begin();
    told();
    limit(MANY);
    told();
    SHOW("at the limit", dup2(1, MANY));
    SHOW("below it", dup2(1, MANY - 1));
    limit(4);
    SHOW("above it now", fcntl(MANY - 1, F_GETFD));
    SHOW("to itself", dup2(MANY - 1, MANY - 1));
    SHOW("another", dup2(1, MANY - 1));
    SHOW("dup3", dup3(1, MANY - 2, 0));
    SHOW("from there", fcntl(1, F_DUPFD, 4));
    SHOW("the last", dup(1));
    SHOW("none left", dup(1));
    struct pollfd asked[5] = {{.fd = -1}, {.fd = -1}, {.fd = -1}, {.fd = -1}, {.fd = -1}};
    SHOW("poll", poll(asked, 4, 0));
    SHOW("poll", poll(asked, 5, 0));
    limit(0);
    SHOW("nothing", dup(1));
    SHOW("dup2", dup2(1, 1));
    SHOW("open", open("/", O_RDONLY));
    end();
}

static void files_at_the_limit(void) {
    sigset_t none;
    int two[2] = {-1, -1};
    sigemptyset(&none);
    begin();
    fill();
    SHOW("absent", open("absent", O_RDWR));
    SHOW("create", open("created", O_RDWR | O_CREAT, 0600));
    SHOW("created", access("created", F_OK));
    SHOW("address", open((const char *)1, O_RDONLY));
    SHOW("no name", open("", O_RDONLY));
    SHOW("folder to write", open("/", O_RDWR));
    SHOW("path", open("/", O_PATH));
    SHOW("nowhere", openat(-5, "x", O_RDONLY));
    SHOW("dup", dup(1));
    SHOW("dup of none", dup(99));
    SHOW("fcntl", fcntl(1, F_DUPFD, 0));
    SHOW("fcntl of none", fcntl(99, F_DUPFD, 0));
    SHOW("epoll", epoll_create1(0));
    SHOW("epoll of none", epoll_create(0));
    SHOW("eventfd", eventfd(0, 0));
    SHOW("flags", eventfd(0, 0x77));
    SHOW("timerfd", timerfd_create(CLOCK_MONOTONIC, 0));
    SHOW("clock", timerfd_create(77, 0));
    SHOW("signalfd", signalfd(-1, &none, 0));
    SHOW("inotify", inotify_init1(0));
    SHOW("memfd", memfd_create("x", 0));
    SHOW("flags", memfd_create("x", 0x7777));
    SHOW("pipe", pipe(two));
    SHOW("flags", pipe2(two, 0x1234567));
    close(FEW - 1);
    SHOW("pipe with one left", pipe(two));
    printf("  %d %d\n", two[0], two[1]);
    SHOW("which stays", dup(1));
    end();
}

/* Three descriptors by a message, where `left` can be had. */
static void pass(const int *pair, int left) {
    char byte = 'x', room[CMSG_SPACE(3 * sizeof(int))] = {0};
    struct iovec vector = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    const int given[3] = {0, 1, 2};
    head->cmsg_level = SOL_SOCKET, head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof given);
    memcpy(CMSG_DATA(head), given, sizeof given);
    SHOW("sent", sendmsg(pair[0], &message, 0));
    for (int i = 0; i < left; i++)
        close(FEW - 1 - i);
    memset(room, 0, sizeof room);
    SHOW("received", recvmsg(pair[1], &message, 0));
    printf("  flags %x, %d bytes\n", message.msg_flags, (int)message.msg_controllen);
    SHOW("none left", dup(1));
}

static void sockets_at_the_limit(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0limits of descriptors"};
    int pair[2], two[2] = {-1, -1};
    begin();
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    SHOW("bind", bind(listener, (struct sockaddr *)&address, sizeof address));
    SHOW("listen", listen(listener, 3));
    SHOW("connect", connect(client, (struct sockaddr *)&address, sizeof address));
    fill();
    SHOW("socket", socket(AF_UNIX, SOCK_STREAM, 0));
    SHOW("family", socket(77, SOCK_STREAM, 0));
    SHOW("pair", socketpair(AF_UNIX, SOCK_STREAM, 0, two));
    SHOW("to nowhere", socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)1));
    SHOW("of a family", socketpair(AF_INET, SOCK_STREAM, 0, two));
    SHOW("of a type", socketpair(AF_UNIX, 77, 0, two));
    SHOW("accept", accept(listener, 0, 0));
    SHOW("flags", accept4(listener, 0, 0, 0x77));
    SHOW("of a file", accept(1, 0, 0));
    SHOW("of nothing", accept(99, 0, 0));
    close(FEW - 1);
    SHOW("pair with one left", socketpair(AF_UNIX, SOCK_STREAM, 0, two));
    printf("  %d %d\n", two[0], two[1]);
    SHOW("accept, which waited", accept(listener, 0, 0));
    pass(pair, 0);
    pass(pair, 2);
    end();
}

const struct served_case limits[] = {
    {"limits_are_told", limits_are_told},
    {"files_at_the_limit", files_at_the_limit},
    {"sockets_at_the_limit", sockets_at_the_limit},
    {0},
};
