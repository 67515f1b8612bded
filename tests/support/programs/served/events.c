/* Readiness, and time. */
#define _GNU_SOURCE
#include "served.h"
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct epoll_event told;

static void show_epoll(const char *what, int epoll) {
    told = (struct epoll_event){0};
    SHOW(what, epoll_wait(epoll, &told, 1, 0));
    printf("  events %x\n", told.events);
}

static void add(int epoll, int fd, uint32_t events) {
    struct epoll_event event = {.events = events};
    SHOW("add", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

static void an_edge_is_reported_once(void) {
    int ends[2], epoll = epoll_create1(0);
    pipe(ends);
    add(epoll, ends[0], EPOLLIN | EPOLLET);
    write(ends[1], "a", 1);
    show_epoll("first", epoll);
    show_epoll("again", epoll);
    write(ends[1], "b", 1);
    show_epoll("more", epoll);
    show_epoll("again", epoll);
}

/* What is freed of it is room for others. */
static void a_refused_message_is_an_edge(void) {
    int ends[2], epoll = epoll_create1(0);
    SHOW("pair", socketpair(AF_UNIX, SOCK_DGRAM, 0, ends));
    add(epoll, ends[0], EPOLLOUT | EPOLLET);
    show_epoll("first", epoll);
    show_epoll("again", epoll);
    shutdown(ends[1], SHUT_RD);
    show_epoll("shut", epoll);
    SHOW("nobody reads", send(ends[0], "a", 1, MSG_NOSIGNAL));
    show_epoll("more", epoll);
    close(ends[1]);
    show_epoll("closed", epoll);
    SHOW("nobody is there", send(ends[0], "a", 1, MSG_NOSIGNAL));
    show_epoll("more", epoll);
    show_epoll("again", epoll);
}

static void nested_edges_are_reported_once(void) {
    int ends[2], inner = epoll_create1(0), outer = epoll_create1(0);
    pipe(ends);
    add(inner, ends[0], EPOLLIN | EPOLLET);
    add(outer, inner, EPOLLIN | EPOLLET);
    write(ends[1], "a", 1);
    show_epoll("outer", outer);
    show_epoll("outer again", outer);
    show_epoll("inner", inner);
    show_epoll("outer after", outer);
    show_epoll("inner again", inner);
}

static void a_reader_hears_that_the_writer_closed(void) {
    int ends[2], epoll = epoll_create1(0);
    pipe(ends);
    add(epoll, ends[0], EPOLLIN);
    close(ends[1]);
    show_epoll("closed", epoll);
    struct pollfd same = {ends[0], POLLIN, 0};
    SHOW("poll", poll(&same, 1, 0));
    printf("  events %x\n", same.revents);
}

static void normal_bits_are_reported(void) {
    int ends[2];
    pipe(ends);
    struct pollfd both[] = {{ends[0], POLLRDNORM, 0}, {ends[1], POLLWRNORM, 0}};
    SHOW("writes", poll(both, 2, -1));
    printf("  events %x %x\n", both[0].revents, both[1].revents);
    write(ends[1], "a", 1);
    SHOW("reads", poll(both, 1, -1));
    printf("  events %x\n", both[0].revents);
    int epoll = epoll_create1(0);
    add(epoll, ends[0], EPOLLRDNORM);
    show_epoll("epoll", epoll);
}

static void select_refuses_a_negative_count(void) {
    struct timeval none = {0, 0};
    struct timespec exact = {0, 0};
    SHOW("select", select(-1, NULL, NULL, NULL, &none));
    SHOW("pselect", pselect(-5, NULL, NULL, NULL, &exact, NULL));
}

static void what_is_left_is_told(void) {
    int ends[2];
    fd_set set;
    pipe(ends);
    write(ends[1], "a", 1);
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    struct timeval left = {50, 0};
    SHOW("select", select(ends[0] + 1, &set, NULL, NULL, &left));
    printf("  left %d\n", left.tv_sec == 49 || (left.tv_sec == 50 && !left.tv_usec));
    left = (struct timeval){0, 2000};
    FD_ZERO(&set);
    SHOW("select", select(0, NULL, NULL, NULL, &left));
    printf("  left %ld %ld\n", (long)left.tv_sec, (long)left.tv_usec);
    struct timespec exact = {0, 2000000};
    SHOW("pselect", syscall(SYS_pselect6, 0, NULL, NULL, NULL, &exact, NULL));
    printf("  left %ld %ld\n", (long)exact.tv_sec, exact.tv_nsec);
    struct pollfd never = {ends[1], 0, 0};
    exact = (struct timespec){0, 2000000};
    SHOW("ppoll", syscall(SYS_ppoll, &never, 1, &exact, NULL, 8));
    printf("  left %ld %ld\n", (long)exact.tv_sec, exact.tv_nsec);
    exact = (struct timespec){50, 0};
    never = (struct pollfd){ends[0], POLLIN, 0};
    SHOW("ppoll ready", syscall(SYS_ppoll, &never, 1, &exact, NULL, 8));
    printf("  left %d\n", exact.tv_sec == 49 || (exact.tv_sec == 50 && !exact.tv_nsec));
}

static volatile int rung;

static void ring(int number) {
    rung = number;
}

static void an_alarm_rings(void) {
    struct sigaction action = {.sa_handler = ring};
    sigaction(SIGALRM, &action, NULL);
    SHOW("alarm", alarm(1));
    SHOW("again", alarm(1));
    SHOW("pause", pause());
    printf("  rung %d\n", rung);
    signal(SIGALRM, SIG_DFL);
}

const struct served_case events[] = {
    {"an_edge_is_reported_once", an_edge_is_reported_once},
    {"a_refused_message_is_an_edge", a_refused_message_is_an_edge},
    {"nested_edges_are_reported_once", nested_edges_are_reported_once},
    {"a_reader_hears_that_the_writer_closed", a_reader_hears_that_the_writer_closed},
    {"normal_bits_are_reported", normal_bits_are_reported},
    {"select_refuses_a_negative_count", select_refuses_a_negative_count},
    {"what_is_left_is_told", what_is_left_is_told},
    {"an_alarm_rings", an_alarm_rings},
    {NULL, NULL}};
