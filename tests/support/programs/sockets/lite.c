/* UDP-Lite: UDP with ports of its own, whose checksum covers a part. */
#include "said.h"
#include <arpa/inet.h>
#include <netinet/in.h>

enum { LITE = 136, CORK = 1, SENT = 10, LEAST = 11 };

static int number(int fd, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(fd, level, name, &value, &size) ? -errno : value;
}

static void set(int fd, int name, int value) {
    int result = SAY(setsockopt(fd, LITE, name, &value, sizeof value));
    printf("%d: %d %d\n", value, result, number(fd, LITE, name));
    result = SAY(setsockopt(fd, IPPROTO_UDP, name, &value, sizeof value)); /* is the same level */
    printf("%d: %d %d\n", value, result, number(fd, IPPROTO_UDP, name));
}

/* Four bytes from one to the other, and whether they come. */
static void pass(int from, int to) {
    char bytes[8];
    SAY(send(from, "four", 4, 0));
    SAY(recv(to, bytes, sizeof bytes, MSG_DONTWAIT));
}

static void between(int family, struct sockaddr *name, socklen_t length) {
    int plain = socket(family, SOCK_DGRAM, 0);
    int own = SAY(socket(family, SOCK_DGRAM, LITE)), other = socket(family, SOCK_DGRAM, LITE);
    printf("%d %d\n", number(own, SOL_SOCKET, SO_PROTOCOL), number(own, SOL_SOCKET, SO_TYPE));
    SAY(bind(other, name, length));
    getsockname(other, name, &length);
    SAY(bind(plain, name, length)); /* the port is free, for UDP */
    SAY(bind(own, name, length));
    SAY(sendto(plain, "to itself", 9, 0, name, length));
    SAY(recv(other, &(char){0}, 1, MSG_DONTWAIT));
    SAY(connect(own, name, length));
    pass(own, other);
    static const int values[] = {0, 1, 8, 9, 100, 70000, -1};
    for (int i = 0; i < 7; i++) {
        set(own, SENT, values[i]);
        pass(own, other);
    }
    set(plain, SENT, 8), set(plain, LEAST, 8);
    set(own, SENT, 8), set(other, LEAST, 9);
    pass(own, other);
    set(own, SENT, 9);
    pass(own, other);
    set(own, SENT, 12), set(other, LEAST, 100);
    pass(own, other);
    static const int parts[] = {0, 8, 11, 12, 13};
    for (int i = 0; i < 5; i++) { /* who wants all of it gets nothing of which a part is covered */
        set(own, SENT, parts[i]), set(other, LEAST, 0);
        pass(own, other);
    }
    set(own, CORK, 5), set(plain, CORK, 5);
    SAY(setsockopt(own, LITE, SENT, &(short){9}, sizeof(short)));
    close(own), close(other), close(plain);
}

int main(void) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    between(AF_INET, (struct sockaddr *)&v4, sizeof v4);
    between(AF_INET6, (struct sockaddr *)&v6, sizeof v6);
    SAY(socket(AF_INET, SOCK_STREAM, LITE));
    SAY(setsockopt(socket(AF_INET, SOCK_STREAM, 0), LITE, SENT, &(short){9}, sizeof(short)));
    return 0;
}
