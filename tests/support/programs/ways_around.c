/*
 * Looks for ways out that no option gives: families and kinds of sockets, and a socket of the
 * host's with the abstract name argv[1] or at the path argv[2].
 */
#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void say(const char *what, long number, int result) {
    printf("%s %ld: %s\n", what, number, result < 0 ? strerror(errno) : "open");
    if (result > 2)
        close(result);
}

static void unix_socket(const char *what, const char *name, int type, int abstract) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t size = strlen(name);
    memcpy(to.sun_path + abstract, name, size);
    int fd = socket(AF_UNIX, type, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
    say(what, type, connect(fd, (struct sockaddr *)&to, length));
    close(fd);
}

int main(int count, char **words) {
    static const int kinds[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_RDM, 10};
    static const int outside[] = {1, 2, 6, 17, 41, 47, 58, 132, 255, 262};
    if (count < 3)
        return getaddrinfo("a", "b", NULL, NULL);
    for (int family = 3; family < 64; family++)
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
            int fd = family == AF_INET6 ? -1 : socket(family, kinds[i], 0);
            if (fd >= 0)
                say("family", family, fd);
        }
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        say("raw IPv4", outside[i], socket(AF_INET, SOCK_RAW, outside[i]));
        say("raw IPv6", outside[i], socket(AF_INET6, SOCK_RAW, outside[i]));
    }
    say("ping", 1, socket(AF_INET, SOCK_DGRAM, 1));
    say("ping IPv6", 58, socket(AF_INET6, SOCK_DGRAM, 58));
    say("packets of an interface", 10, socket(AF_INET, 10, 0x0300));
    for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
        unix_socket("abstract", words[1], type, 1);
        unix_socket("by path", words[2], type, 0);
    }
    return 0;
}
