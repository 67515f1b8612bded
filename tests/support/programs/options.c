/* What getsockopt and setsockopt answer to every name of every level: a line for each. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const int values[] = {1, 0, -1, 7, 300, 70000};

static void get(int fd, int level, int name, int size) {
    unsigned char to[256] = {0};
    socklen_t length = size;
    int result = getsockopt(fd, level, name, to, &length);
    if (result)
        printf(" e%d", errno);
    else
        printf(" %d", length);
    for (unsigned i = 0; !result && i < length && i < 16; i++)
        printf(i ? "%02x" : ":%02x", to[i]);
}

static void try(const char *what, int domain, int type, int level, const char *called, int name) {
    int fd = socket(domain, type, 0);
    printf("%s %s %d:", what, called, name);
    get(fd, level, name, 4);
    get(fd, level, name, 2);
    get(fd, level, name, 100);
    close(fd);
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
        fd = socket(domain, type, 0);
        int result = setsockopt(fd, level, name, &values[i], sizeof *values);
        printf(" | %d %d", values[i], result ? errno : 0);
        get(fd, level, name, 4);
        close(fd);
    }
    fd = socket(domain, type, 0);
    int result = setsockopt(fd, level, name, &values[3], 1);
    printf(" | short %d", result ? errno : 0);
    result = setsockopt(fd, level, name, &values[3], 0);
    printf(" none %d", result ? errno : 0);
    result = setsockopt(fd, level, name, NULL, 4);
    printf(" null %d\n", result ? errno : 0);
    close(fd);
}

int main(void) {
    static const struct {
        const char *what;
        int domain, type;
    } sockets[] = {{"tcp4", AF_INET, SOCK_STREAM},
                   {"tcp6", AF_INET6, SOCK_STREAM},
                   {"udp4", AF_INET, SOCK_DGRAM},
                   {"udp6", AF_INET6, SOCK_DGRAM}};
    static const struct {
        const char *called;
        int level, most;
    } levels[] = {{"SOCKET", SOL_SOCKET, 80},
                  {"IP", 0, 60},
                  {"TCP", 6, 45},
                  {"UDP", 17, 105},
                  {"IPV6", 41, 85}};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 5; j++)
            for (int name = 0; name < levels[j].most; name++)
                try(sockets[i].what, sockets[i].domain, sockets[i].type, levels[j].level,
                    levels[j].called, name);
    return 0;
}
