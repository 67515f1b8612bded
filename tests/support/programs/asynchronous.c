/* Signals for what may have become ready: O_ASYNC with owners and signals of its own. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static sigset_t watched;

static void tell(const char *what) {
    const struct timespec none = {0, 0};
    siginfo_t info;
    printf("%s:", what);
    for (int count = 0; count < 8; count++) {
        memset(&info, 0, sizeof info);
        int number = sigtimedwait(&watched, &info, &none);
        if (number < 0)
            break;
        int own = number >= SIGRTMIN;
        printf(" %d %d %ld %d", number, info.si_code, own ? (long)info.si_band : 0,
               own ? info.si_fd : 0);
    }
    printf("\n");
}

int main(void) {
    int ends[2], pair[2], number = SIGRTMIN + 2;
    char byte;
    sigemptyset(&watched);
    sigaddset(&watched, SIGIO);
    sigaddset(&watched, number);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    pipe(ends);
    printf("%d %x\n", fcntl(ends[0], F_SETFL, O_ASYNC | O_NONBLOCK), fcntl(ends[0], F_GETFL));
    write(ends[1], "a", 1);
    tell("nobody owns it");
    fcntl(ends[0], F_SETOWN, getpid());
    write(ends[1], "b", 1);
    tell("owned");
    write(ends[1], "c", 1), write(ends[1], "d", 1);
    tell("twice");
    fcntl(ends[0], F_SETSIG, number);
    write(ends[1], "e", 1);
    tell("a signal of its own");
    write(ends[1], "f", 1), write(ends[1], "g", 1);
    tell("each is kept");
    printf("%d %x\n", fcntl(ends[0], F_SETFL, O_NONBLOCK), fcntl(ends[0], F_GETFL));
    write(ends[1], "h", 1);
    tell("no more");
    fcntl(ends[0], F_SETFL, O_ASYNC);
    close(ends[1]);
    tell("the end");
    close(ends[0]);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    struct f_owner_ex owner = {F_OWNER_TID, gettid()};
    fcntl(pair[0], F_SETOWN_EX, &owner);
    fcntl(pair[0], F_SETFL, O_ASYNC);
    write(pair[1], "a", 1);
    tell("socket");
    read(pair[0], &byte, 1);
    int file = open("/dev/null", O_RDWR);
    printf("%d %d\n", fcntl(file, F_SETFL, O_ASYNC), !!(fcntl(file, F_GETFL) & O_ASYNC));
    return 0;
}
