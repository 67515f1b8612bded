/* Thousands of descriptors: those of the program's own, and connections that come from outside. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOME = 64 };

static void show(const char *what, long result) {
    printf("%s: %ld", what, result);
    printf(result < 0 ? " (%s)\n" : "\n", strerror(errno));
}

static void raise_limit(rlim_t wanted) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = wanted;
    show("raised", setrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = limit.rlim_max + 1;
    show("beyond", setrlimit(RLIMIT_NOFILE, &limit));
}

static int watch(int set, int operation, int fd, uint32_t events) {
    struct epoll_event event = {events, {.fd = fd}};
    return epoll_ctl(set, operation, fd, &event);
}

static void wait_for(const char *what, int set, int most) {
    struct epoll_event ready[SOME];
    int count = epoll_wait(set, ready, most, 0);
    printf("%s:", what);
    for (int i = 0; i < count; i++)
        printf(" %d(%x)", ready[i].data.fd, ready[i].events);
    printf("\n");
}

/* What is ready is told in its order, whatever lies between. */
static void wait_for_few(int set, int first, int last) {
    int chosen[] = {last, first, (first + last) / 2, first + 1000};
    for (int i = 0; i < 4; i++)
        eventfd_write(chosen[i], 1);
    wait_for("few", set, 2);
    wait_for("the others too", set, SOME);
    show("away", watch(set, EPOLL_CTL_DEL, first, 0));
    show("away again", watch(set, EPOLL_CTL_DEL, first, 0));
    show("there", watch(set, EPOLL_CTL_ADD, last, EPOLLIN));
    show("other", watch(set, EPOLL_CTL_MOD, last, EPOLLIN | EPOLLET));
    close(chosen[2]);
    wait_for("left", set, SOME);
    wait_for("without the edge", set, SOME);
}

static void poll_all(int first, int last) {
    struct pollfd *all = calloc(last - first + 1, sizeof *all);
    for (int i = first; i <= last; i++)
        all[i - first] = (struct pollfd){i, POLLIN, 0};
    show("polled", poll(all, last - first + 1, 0));
    printf("closed %x, last %x\n", all[(last - first) / 2].revents, all[last - first].revents);
    show("too many", poll(all, 65536 + 1, 0));
    free(all);
}

static int files(int count) {
    int set, first, last = -1, fd;
    show("usual", fcntl(1, F_DUPFD, 1024));
    raise_limit(count);
    set = epoll_create1(EPOLL_CLOEXEC);
    first = eventfd(0, EFD_NONBLOCK);
    for (fd = first; fd >= 0; fd = eventfd(0, EFD_NONBLOCK)) {
        if (watch(set, EPOLL_CTL_ADD, fd, EPOLLIN))
            break;
        last = fd;
    }
    show("full", fd);
    printf("%d to %d\n", first, last);
    wait_for_few(set, first, last);
    show("lowest", dup(1));
    poll_all(first, last);
    show("on exec", fcntl(set, F_GETFD));
    show("beyond", dup2(1, count));
    close(first + 5), close(last - 5);
    show("again", dup(1));
    show("from above", fcntl(1, F_DUPFD, first + 100));
    raise_limit(100);
    show("still there", fcntl(last, F_GETFD));
    show("no more", dup(1));
    return 0;
}

/* Each connection says something now and then, and is answered; most are idle. */
static int serve(int count) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), set = epoll_create1(0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct epoll_event ready[SOME];
    int open = 0, fd;
    if (bind(listener, (void *)&at, sizeof at) || listen(listener, 4096))
        return 1;
    watch(set, EPOLL_CTL_ADD, listener, EPOLLIN);
    printf("listening\n"), fflush(stdout);
    for (;;) {
        int got = epoll_wait(set, ready, SOME, -1);
        for (int i = 0; i < got; i++) {
            char bytes[100];
            if (ready[i].data.fd != listener) {
                long size = read(ready[i].data.fd, bytes, sizeof bytes);
                if (size > 0 && write(ready[i].data.fd, bytes, size) != size)
                    return 2;
                if (size <= 0)
                    close(ready[i].data.fd), open--;
                continue;
            }
            while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                watch(set, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP);
                if (++open == count)
                    printf("all\n"), fflush(stdout);
            }
            if (errno != EAGAIN)
                printf("accept: %s\n", strerror(errno)), fflush(stdout);
        }
    }
}

int main(int argc, char **argv) {
    (void)argc;
    setvbuf(stdout, NULL, _IOFBF, 1 << 14);
    return strcmp(argv[1], "serve") ? files(atoi(argv[2])) : serve(atoi(argv[2]));
}
