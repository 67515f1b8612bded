/*
 * A guest that wants something out: it tries each line of its standard input, KIND and two words,
 * and says how that ended.  What has to get out, where it can, is "secret".
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char *ended(long result) {
    return result < 0 ? strerror(errno) : "done";
}

/* Over a connection, with a descriptor of a file beside it, which nobody is to have. */
static const char *tell(int fd) {
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.head = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec word = {"secret", 6};
    struct msghdr message = {.msg_iov = &word,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    int file = open("/", O_RDONLY);
    memcpy(CMSG_DATA(&control.head), &file, sizeof file);
    const char *end = ended(sendmsg(fd, &message, MSG_NOSIGNAL));
    close(file);
    return end;
}

static const char *to_internet(int type, const char *host, const char *port) {
    struct addrinfo hint = {.ai_socktype = type}, *to;
    int error = getaddrinfo(host, port, &hint, &to);
    if (error)
        return gai_strerror(error);
    int fd = socket(to->ai_family, type, 0);
    long result = type == SOCK_STREAM ? connect(fd, to->ai_addr, to->ai_addrlen)
                                      : sendto(fd, "secret", 6, 0, to->ai_addr, to->ai_addrlen);
    const char *end = result || type != SOCK_STREAM ? ended(result) : tell(fd);
    freeaddrinfo(to);
    close(fd);
    return end;
}

static const char *to_unix(const char *name, int abstract) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t size = strlen(name);
    memcpy(to.sun_path + abstract, name, size);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
    const char *end = connect(fd, (void *)&to, length) ? ended(-1) : tell(fd);
    close(fd);
    return end;
}

static const char *make_socket(const char *family, const char *type) {
    int fd = socket(atoi(family), atoi(type), 0);
    const char *end = ended(fd);
    close(fd);
    return end;
}

/* What a file begins with, or its error. */
static const char *read_file(const char *path) {
    static char text[20];
    int fd = open(path, O_RDONLY);
    long got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    text[got < 0 ? 0 : got] = 0;
    const char *end = got < 0 ? ended(-1) : text;
    close(fd);
    return end;
}

static const char *write_file(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT, 0666);
    const char *end = fd < 0 ? ended(-1) : ended(write(fd, "secret", 6));
    close(fd);
    return end;
}

static const char *attempt(const char *kind, const char *one, const char *two) {
    if (!strcmp(kind, "tcp"))
        return to_internet(SOCK_STREAM, one, two);
    if (!strcmp(kind, "udp"))
        return to_internet(SOCK_DGRAM, one, two);
    if (!strcmp(kind, "abstract") || !strcmp(kind, "unix"))
        return to_unix(one, *kind == 'a');
    if (!strcmp(kind, "socket"))
        return make_socket(one, two);
    if (!strcmp(kind, "read"))
        return read_file(one);
    if (!strcmp(kind, "write"))
        return write_file(one);
    return ended(!strcmp(kind, "link") ? link(one, two) : rename(one, two));
}

int main(void) {
    char kind[20], one[200], two[200];
    while (scanf("%19s %199s %199s", kind, one, two) == 3)
        printf("%s\n", attempt(kind, one, two));
    return 0;
}
