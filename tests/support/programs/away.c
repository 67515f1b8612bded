/*
 * Has ways out before its moment and behind it: away TCP UDP [early].
 *
 * The moment is the read of standard input.  Connections to TCP and UDP of 127.0.0.1 are made
 * before; a socket listens at port 80; with "early" it looks into /data too soon.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int begin(int kind, const char *port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, kind, 0);
    if (connect(fd, (void *)&to, sizeof to))
        printf("connect: %s\n", strerror(errno));
    return fd;
}

static void ask(int fd, const char *what) {
    char text[100];
    long sent = send(fd, what, strlen(what), MSG_NOSIGNAL);
    if (sent < 0)
        printf("send: %s\n", strerror(errno));
    long got = recv(fd, text, sizeof text, 0);
    if (got > 0)
        printf("got %.*s\n", (int)got, text);
    else
        printf("%s\n", got < 0 ? strerror(errno) : "ended");
}

static int listening(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(80)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bind(fd, (void *)&at, sizeof at);
    listen(fd, 5);
    return fd;
}

int main(int count, char **words) {
    struct stat there;
    char text[100];
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (count > 3)
        printf("early %d\n", stat("/data/in", &there));
    int open = begin(SOCK_STREAM, words[1]), wrote = begin(SOCK_STREAM, words[1]);
    int datagrams = begin(SOCK_DGRAM, words[2]), door = listening();
    ask(open, "a");
    ask(datagrams, "b");
    getchar();

    struct pollfd look = {open, POLLIN, 0};
    poll(&look, 1, -1);
    printf("told %d %d %d\n", !!(look.revents & POLLERR), !!(look.revents & POLLHUP),
           !!(look.revents & POLLIN));
    long got = recv(open, text, sizeof text, 0);
    printf("%ld %s, then %ld\n", got, strerror(errno), recv(open, text, sizeof text, 0));
    ask(wrote, "c");
    ask(wrote, "c");
    ask(datagrams, "d");
    ask(begin(SOCK_STREAM, words[1]), "e");
    close(open);
    int came = accept(door, NULL, NULL);
    got = read(came, text, sizeof text);
    printf("came %.*s\n", (int)got, text);
    int file = openat(AT_FDCWD, "/data/in", O_RDONLY);
    got = read(file, text, sizeof text);
    printf("file %.*s\n", got < 0 ? 0 : (int)got, text);
    return 0;
}
