/* Servers and clients over TCP: each mode says what it saw, the same natively and in a guest. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static int failed(const char *what) {
    printf("%s: %s\n", what, strerror(errno));
    fflush(stdout);
    return 1;
}

static socklen_t address(const char *text, int port, struct sockaddr_storage *to) {
    struct sockaddr_in6 *six = (void *)to;
    struct sockaddr_in *four = (void *)to;
    memset(to, 0, sizeof *to);
    if (strchr(text, ':')) {
        six->sin6_family = AF_INET6, six->sin6_port = htons(port);
        inet_pton(AF_INET6, text, &six->sin6_addr);
        return sizeof *six;
    }
    four->sin_family = AF_INET, four->sin_port = htons(port);
    inet_pton(AF_INET, text, &four->sin_addr);
    return sizeof *four;
}

static const char *words(const struct sockaddr_storage *at, char *to) {
    if (at->ss_family == AF_INET)
        return inet_ntop(AF_INET, &((const struct sockaddr_in *)at)->sin_addr, to, 64);
    return inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)at)->sin6_addr, to, 64);
}

static int listening(const char *at, int port, int flags) {
    struct sockaddr_storage to;
    socklen_t size = address(at, port, &to);
    int on = 1, fd = socket(to.ss_family, SOCK_STREAM | flags, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (void *)&to, size) || listen(fd, 64))
        exit(failed("listen"));
    printf("listening\n");
    fflush(stdout);
    return fd;
}

static void *echo(void *of) {
    char bytes[70000];
    int fd = (int)(long)of;
    long got;
    while ((got = read(fd, bytes, sizeof bytes)) > 0)
        if (write(fd, bytes, got) != got)
            break;
    close(fd);
    return NULL;
}

/* One after another, each with the names that it has. */
static int serve(const char *at, int port, int count) {
    int fd = listening(at, port, 0);
    while (count--) {
        struct sockaddr_storage peer, own;
        socklen_t size = sizeof peer, own_size = sizeof own;
        char a[64], b[64];
        int on = 1, got = accept4(fd, (void *)&peer, &size, SOCK_CLOEXEC);
        if (got < 0)
            return failed("accept");
        setsockopt(got, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        getsockname(got, (void *)&own, &own_size);
        printf("from %s to %s port %d\n", words(&peer, a), words(&own, b),
               ntohs(((struct sockaddr_in *)&own)->sin_port));
        fflush(stdout);
        echo((void *)(long)got);
    }
    return 0;
}

static int threads(const char *at, int port, int count) {
    pthread_t all[64];
    int fd = listening(at, port, 0);
    for (int i = 0; i < count; i++)
        pthread_create(&all[i], NULL, echo, (void *)(long)accept(fd, NULL, NULL));
    for (int i = 0; i < count; i++)
        pthread_join(all[i], NULL);
    return 0;
}

/* With epoll: level-triggered, or edge-triggered and read to EAGAIN. */
static int events(const char *at, int port, int count, unsigned edge) {
    int fd = listening(at, port, SOCK_NONBLOCK), set = epoll_create1(0), open = 0;
    struct epoll_event event = {EPOLLIN, {.fd = fd}}, some[16];
    epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
    while (count || open) {
        int ready = epoll_wait(set, some, 16, 10000);
        if (ready <= 0)
            return failed("epoll_wait");
        for (int i = 0; i < ready; i++) {
            int got = some[i].data.fd;
            if (got == fd) {
                while ((got = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    event = (struct epoll_event){EPOLLIN | EPOLLRDHUP | edge, {.fd = got}};
                    epoll_ctl(set, EPOLL_CTL_ADD, got, &event);
                    count--, open++;
                }
                continue;
            }
            char bytes[1000];
            long size;
            do {
                size = read(got, bytes, sizeof bytes);
                if (size > 0 && write(got, bytes, size) != size)
                    return failed("write");
            } while (edge && size > 0);
            if (size == 0 || (size < 0 && errno != EAGAIN))
                close(got), open--;
        }
    }
    printf("done\n");
    return 0;
}

/* What a connection looks like as it comes and goes. */
static int look(const char *at, int port) {
    int fd = listening(at, port, 0), got = accept(fd, NULL, NULL), left = -1;
    struct pollfd one = {got, POLLIN | POLLRDHUP | POLLOUT, 0};
    char bytes[16] = "";
    struct iovec two[2] = {{"one, ", 5}, {"two\n", 4}};
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    getpeername(got, (void *)&peer, &size);
    int again = connect(got, (void *)&peer, size);
    printf("connected again %d %s\n", again, strerror(errno));
    poll(&one, 1, 0);
    printf("at first %#x\n", one.revents);
    one.events = POLLIN | POLLRDHUP;
    poll(&one, 1, 5000);
    ioctl(got, FIONREAD, &left);
    printf("%#x, %d bytes\n", one.revents, left);
    printf("peeked %zd ", recv(got, bytes, 3, MSG_PEEK));
    printf("read %zd ", recv(got, bytes, 3, 0));
    printf("%zd: %s\n", recv(got, bytes + 3, 3, MSG_DONTWAIT), bytes);
    printf("%zd ", recv(got, bytes, 1, MSG_DONTWAIT));
    printf("%d\n", errno == EAGAIN);
    printf("wrote %zd\n", writev(got, two, 2));
    printf("shut %d\n", shutdown(got, SHUT_WR));
    long sent = send(got, "x", 1, MSG_NOSIGNAL);
    printf("then %ld %s\n", sent, strerror(errno));
    poll(&one, 1, 5000);
    printf("end %#x read %zd\n", one.revents, read(got, bytes, 16));
    one.events = POLLIN | POLLRDHUP | POLLOUT;
    poll(&one, 1, 5000);
    printf("both %#x\n", one.revents);
    return 0;
}

/* Who never waits, but asks again and again, hears of everything all the same. */
static int busy(const char *at, int port) {
    int fd = listening(at, port, SOCK_NONBLOCK), got, set = epoll_create1(0);
    char bytes[100];
    while ((got = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) < 0)
        continue;
    while (recv(got, bytes, 1, MSG_DONTWAIT) != 1)
        continue;
    struct pollfd one = {got, POLLIN, 0};
    while (!poll(&one, 1, 0) || recv(got, bytes, 1, 0) != 1)
        continue;
    struct epoll_event event = {EPOLLIN | EPOLLET, {.fd = got}};
    epoll_ctl(set, EPOLL_CTL_ADD, got, &event);
    send(got, "2", 1, 0);
    while (!epoll_wait(set, &event, 1, 0) || recv(got, bytes, 1, 0) != 1)
        continue;
    /* An epoll with something that is always ready tells of what is not as well. */
    event = (struct epoll_event){EPOLLOUT, {.fd = got}};
    epoll_ctl(set, EPOLL_CTL_MOD, got, &event);
    send(got, "3", 1, 0);
    while (recv(got, bytes, 1, MSG_PEEK) != 1)
        continue;
    do
        event.events = EPOLLOUT | EPOLLIN, epoll_ctl(set, EPOLL_CTL_MOD, got, &event);
    while (epoll_wait(set, &event, 1, 0) != 1 || !(event.events & EPOLLIN));
    recv(got, bytes, 1, 0);
    send(got, "4", 1, 0);
    struct pollfd both[] = {{got, POLLOUT, 0}, {got, POLLIN, 0}};
    while (poll(both, 2, 0) < 0 || !both[1].revents)
        continue;
    printf("heard\n");
    return 0;
}

static int client(const char *to, int port, const char *text, int flags) {
    struct sockaddr_storage at;
    socklen_t size = address(to, port, &at);
    int fd = socket(at.ss_family, SOCK_STREAM | flags, 0), error = -1;
    char bytes[100] = "", a[64];
    int result = connect(fd, (void *)&at, size);
    if (result && errno == EINPROGRESS) {
        struct pollfd one = {fd, POLLOUT, 0};
        poll(&one, 1, 5000);
        size = sizeof error;
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
        printf("then %#x: %s\n", one.revents, strerror(error));
        fcntl(fd, F_SETFL, 0);
        if (error)
            return 1;
    } else if (result)
        return failed("connect");
    size = sizeof at;
    getpeername(fd, (void *)&at, &size);
    printf("to %s port %d\n", words(&at, a), ntohs(((struct sockaddr_in *)&at)->sin_port));
    send(fd, text, strlen(text), 0);
    shutdown(fd, SHUT_WR);
    for (long got, all = 0; (got = recv(fd, bytes + all, sizeof bytes - 1 - all, 0)) > 0;)
        all += got;
    printf("%s\n", bytes);
    return 0;
}

int main(int argc, char **argv) {
    const char *mode = argv[1], *at = argv[2];
    int port = atoi(argv[3]), count = argc > 4 ? atoi(argv[4]) : 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!strcmp(mode, "serve"))
        return serve(at, port, count);
    if (!strcmp(mode, "threads"))
        return threads(at, port, count);
    if (!strcmp(mode, "level"))
        return events(at, port, count, 0);
    if (!strcmp(mode, "edge"))
        return events(at, port, count, EPOLLET);
    if (!strcmp(mode, "look"))
        return look(at, port);
    if (!strcmp(mode, "busy"))
        return busy(at, port);
    return client(at, port, argv[4], strcmp(mode, "later") ? 0 : SOCK_NONBLOCK);
}
