/* What is sent from outside: handlers in every way to wait, and while it computes. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static volatile int heard, code;

static void hear(int number, siginfo_t *info, void *context) {
    heard = number, code = info->si_code;
    (void)context;
}

static void handle(int number, int flags) {
    struct sigaction action = {.sa_sigaction = hear, .sa_flags = SA_SIGINFO | flags};
    sigaction(number, &action, NULL);
}

static void tell(const char *what, long got) {
    int why = got < 0 ? errno : 0;
    printf("%s %ld %d heard %d code %d\n", what, got, why, heard, code);
    heard = code = 0;
}

static void ready(const char *what) {
    printf("%s?\n", what);
}

static void in_each_way(void) {
    struct pollfd input = {0, POLLIN, 0};
    struct timespec long_time = {50, 0};
    char byte;
    ready("read");
    tell("read", read(0, &byte, 1));
    ready("poll");
    tell("poll", poll(&input, 1, 50000));
    ready("sleep");
    tell("sleep", nanosleep(&long_time, NULL));
    ready("pause");
    tell("pause", pause());
    ready("compute");
    while (!heard) /* no system call */
        ;
    tell("compute", 0);
    handle(SIGINT, SA_RESTART);
    ready("again");
    tell("again", read(0, &byte, 1)); /* goes on, until a line is typed */
}

static void of_the_terminal(void) {
    struct winsize size;
    sigset_t before, window; /* it comes once: never before the wait */
    sigemptyset(&window);
    sigaddset(&window, SIGWINCH);
    sigprocmask(SIG_BLOCK, &window, &before);
    handle(SIGWINCH, 0);
    ready("size");
    sigsuspend(&before);
    ioctl(0, TIOCGWINSZ, &size);
    tell("size", size.ws_row);
}

int main(int argc, char **argv) {
    (void)argv;
    setvbuf(stdout, NULL, _IONBF, 0);
    handle(SIGINT, 0);
    if (argc > 1) {
        signal(SIGINT, *argv[1] == 'i' ? SIG_IGN : SIG_DFL);
        ready("ready");
        for (;;)
            if (*argv[1] == 'c') /* the default, while it computes */
                continue;
            else
                pause();
    }
    in_each_way();
    of_the_terminal();
    return 0;
}
