/* Says what pseudo-terminals do, beside the same on Linux: lines, keys, characters, ends. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static int master, slave;

/* The result of a call, and its error. */
static const char *said(long result) {
    static char texts[8][32];
    static int next;
    char *to = texts[next++ % 8];
    if (result < 0)
        snprintf(to, sizeof texts[0], "error %d", errno);
    else
        snprintf(to, sizeof texts[0], "%ld", result);
    return to;
}

static void put(const char *text) {
    if (write(master, text, strlen(text)) != (ssize_t)strlen(text))
        printf(" short");
    usleep(10000); /* Linux takes it a little later */
}

static void show(const char *what, int from, size_t size) {
    char bytes[5000];
    struct pollfd ready = {.fd = from, .events = POLLIN};
    poll(&ready, 1, 30);
    long got = ready.revents & POLLIN ? read(from, bytes, size) : -1;
    printf(" %s %ld", what, got);
    for (long i = 0; i < got && i < 60; i++)
        printf(bytes[i] >= ' ' && bytes[i] < 0x7f ? " %c" : " %02x", (unsigned char)bytes[i]);
    printf(";");
}

static void see(void) {
    show("read", slave, 100);
    show("echo", master, 1000);
    printf("\n");
}

static void open_pair(const char *name) {
    printf("== %s\n", name);
    if (openpty(&master, &slave, NULL, NULL, NULL))
        exit(1);
}

static void close_pair(void) {
    close(master), close(slave);
}

static void change(tcflag_t local, tcflag_t input, tcflag_t output, int least, int time) {
    struct termios modes;
    tcgetattr(slave, &modes);
    modes.c_lflag ^= local, modes.c_iflag ^= input, modes.c_oflag ^= output;
    modes.c_cc[VMIN] = (cc_t)least, modes.c_cc[VTIME] = (cc_t)time;
    tcsetattr(slave, TCSANOW, &modes);
}

static void names(void) {
    struct stat status, named;
    int lock = 9, number = -1;
    master = posix_openpt(O_RDWR | O_NOCTTY);
    printf("locked %s", said(open(ptsname(master), O_RDWR | O_NOCTTY)));
    printf("; lock %s", said(ioctl(master, TIOCGPTLCK, &lock))), printf(" %d", lock);
    printf("; unlock %s", said(grantpt(master) | unlockpt(master)));
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    fstat(slave, &status), stat(ptsname(master), &named);
    printf("; open %d, mode %o, same %d", slave >= 0, status.st_mode & S_IFMT,
           status.st_ino == named.st_ino && status.st_rdev == named.st_rdev);
    printf("; named %d, tty %d %d", !strcmp(ttyname(slave), ptsname(master)), isatty(master),
           isatty(slave));
    printf("; number %s", said(ioctl(master, TIOCGPTN, &number))), printf(" %d", number >= 0);
    printf("; of slave %s", said(ioctl(slave, TIOCGPTN, &number)));
    printf("; seek %s\n", said(lseek(slave, 0, SEEK_CUR)));
    char path[64];
    strcpy(path, ptsname(master));
    close_pair();
    printf("gone %s\n", said(access(path, F_OK)));
}

static void lines(void) {
    put("hello\n"), see();
    put("two\nlines\n"), see(), see();
    put("more than is read\n");
    show("part", slave, 4);
    see();
    put("no end"), see();
    put("\004"), see();
    put("\004"), see();
    put("cr\r"), see();
    put("a\tb\001\033[A\n"), see();
    char many[4500];
    memset(many, 'x', sizeof many);
    printf("%zd", write(master, many, sizeof many));
    put("\n");
    show("long", slave, 5000), printf("\n");
}

static void editing(void) {
    static const char *const typed[] = {
        "abc\177\177d\n",     "\177\177x\n",  "some words\027new\n", "kill it\025other\n",
        "tab\tx\177\177y\n",  "c\001\177d\n", "quoted\026\003\n",    "re\022print\n",
        "a-b_c d\027\027z\n", "\026\177\n",   "eof\026\004 inside\n"};
    for (size_t i = 0; i < sizeof typed / sizeof *typed; i++)
        put(typed[i]), see();
    change(ECHOE | ECHOK, 0, 0, 1, 0);
    put("abc\177d\n"), see();
    put("abc\025d\n"), see();
    change(ECHOCTL, 0, 0, 1, 0);
    put("c\001d\n"), see();
    change(ECHO, 0, 0, 1, 0);
    put("quiet\177\n"), see();
    change(ECHONL, 0, 0, 1, 0);
    put("quiet\n"), see();
    change(0, IUTF8, 0, 1, 0);
    put("\xc3\xa9\xe2\x82\xac\177\177\n"), see();
    change(0, INLCR | ICRNL | IGNCR, 0, 1, 0);
    put("a\rb\n\004"), see();
}

static void output(void) {
    change(ECHO, 0, 0, 1, 0);
    for (int i = 0; i < 5; i++) {
        static const tcflag_t flags[] = {0, ONLCR, OCRNL, ONOCR | OCRNL, OPOST};
        change(0, 0, flags[i], 1, 0);
        printf("%zd", write(slave, "a\tb\nc\r\rd\b\n", 10));
        show("out", master, 100), printf("\n");
    }
}

static void characters(void) {
    change(ICANON | ECHO, 0, 0, 1, 0);
    put("abc"), see();
    put("\003\r\n\004\021"), see();
    change(0, 0, 0, 3, 0);
    struct pollfd ready = {.fd = slave, .events = POLLIN};
    put("a");
    printf("one of three %d", poll(&ready, 1, 20));
    put("bcd"), see();
    change(0, 0, 0, 0, 0);
    printf("none %zd\n", read(slave, (char[9]){0}, 9));
    change(0, 0, 0, 0, 1);
    printf("none in time %zd\n", read(slave, (char[9]){0}, 9));
    put("x");
    change(0, 0, 0, 5, 1);
    printf("one in time %zd\n", read(slave, (char[9]){0}, 9));
    put("left");
    change(ICANON, 0, 0, 1, 0), see();
    put("line\npart");
    change(ICANON, 0, 0, 1, 0), see();
    fcntl(slave, F_SETFL, O_NONBLOCK);
    printf("none %s\n", said(read(slave, (char[9]){0}, 9)));
}

static volatile int seen;
static void caught(int number) {
    seen = number;
}

/* It is nobody's: a key has no signal. */
static void keys(void) {
    signal(SIGINT, caught);
    put("lost\003kept\n"), see();
    printf("seen %d\n", seen);
    change(ISIG, 0, 0, 1, 0);
    put("\003\n"), see();
    put("\023");
    struct pollfd ready = {.fd = slave, .events = POLLOUT};
    printf("stopped %d", poll(&ready, 1, 20));
    put("\021");
    printf(" %d\n", poll(&ready, 1, 20));
    int group = 7;
    printf("group %s", said(ioctl(slave, TIOCGPGRP, &group)));
    printf("; of master %s", said(ioctl(master, TIOCGPGRP, &group))), printf(" %d", group);
    printf("; session %s\n", said(ioctl(slave, TIOCGSID, &group)));
}

static void sizes(void) {
    struct winsize size = {1, 2, 3, 4};
    struct termios modes;
    int count = 0;
    ioctl(slave, TIOCGWINSZ, &size);
    printf("size %d %d %d", size.ws_row, size.ws_col, size.ws_xpixel);
    size = (struct winsize){24, 80, 5, 6};
    printf("; set %d", ioctl(master, TIOCSWINSZ, &size));
    size.ws_row = 0;
    ioctl(slave, TIOCGWINSZ, &size);
    printf(" %d %d\n", size.ws_row, size.ws_col);
    tcgetattr(slave, &modes);
    printf("modes %x %x %x %x", modes.c_iflag, modes.c_oflag, modes.c_cflag, modes.c_lflag);
    for (int i = 0; i < 17; i++)
        printf(" %d", modes.c_cc[i]);
    put("typed\nmore");
    ioctl(slave, FIONREAD, &count);
    printf("\nwaiting %d", count);
    ioctl(master, FIONREAD, &count);
    printf(" %d", count);
    printf(" flush %d", tcflush(slave, TCIFLUSH));
    put("new\n"), see();
    printf("what %s\n", said(ioctl(slave, 0x5499, 0)));
}

static int polled(int file) {
    struct pollfd ready = {.fd = file, .events = POLLIN | POLLOUT};
    poll(&ready, 1, 0);
    return ready.revents;
}

static void ends(void) {
    char byte;
    printf("both %x %x\n", polled(master), polled(slave));
    put("left\n");
    write(slave, "last", 4);
    close(slave);
    printf("no slave %x", polled(master));
    long got, all = 0;
    while ((got = read(master, &byte, 1)) > 0)
        all += got, printf(" %02x", byte);
    printf(" %ld %s %x\n", all, said(got), polled(master));
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    printf("again %d %x\n", slave >= 0, polled(master));
    close(master);
    printf("no master %x %s", polled(slave), said(read(slave, &byte, 1)));
    printf(" %s", said(write(slave, "x", 1)));
    printf(" %s\n", said(tcgetattr(slave, &(struct termios){0})));
}

static void *type_later(void *text) {
    usleep(20000);
    put(text);
    return NULL;
}

static void *close_later(void *none) {
    usleep(20000);
    close(master);
    return none;
}

static void waiting(void) {
    pthread_t thread;
    char bytes[64] = "";
    pthread_create(&thread, NULL, type_later, "later\n");
    printf("read %zd", read(slave, bytes, sizeof bytes));
    printf(" %s", bytes);
    pthread_join(thread, NULL);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    int set = epoll_create1(0);
    epoll_ctl(set, EPOLL_CTL_ADD, slave, &event);
    printf("edge %d", epoll_wait(set, &event, 1, 0));
    pthread_create(&thread, NULL, type_later, "edge\n");
    printf(" %d\n", epoll_wait(set, &event, 1, 5000));
    pthread_join(thread, NULL);
    close(set);
    show("edge", slave, 64);
    pthread_create(&thread, NULL, close_later, NULL);
    printf(" closed %s\n", said(read(slave, bytes, 1)));
    pthread_join(thread, NULL);
    open_pair("characters that nobody types");
    change(ICANON, 0, 0, 3, 0);
    put("x");
    pthread_create(&thread, NULL, close_later, NULL);
    printf("closed %s\n", said(read(slave, bytes, 9)));
    pthread_join(thread, NULL);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {{"lines", lines}, {"editing", editing}, {"output", output}, {"characters", characters},
             {"keys", keys},   {"sizes", sizes},     {"ends", ends},     {"waiting", waiting}};

int main(void) {
    names();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        open_pair(cases[i].name);
        cases[i].run();
        close_pair();
    }
    return 0;
}
