/* Connects to every address of a name, says hello and what comes back. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void talk(const struct addrinfo *to) {
    char text[100];
    getnameinfo(to->ai_addr, to->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
    printf("%s ", text);
    int fd = socket(to->ai_family, SOCK_STREAM, 0);
    if (connect(fd, to->ai_addr, to->ai_addrlen)) {
        printf("%s\n", strerror(errno));
    } else if (write(fd, "hello", 5) == 5) {
        long got = read(fd, text, sizeof text);
        printf("%.*s\n", (int)(got < 0 ? 0 : got), text);
    }
    close(fd);
}

int main(int count, char **words) {
    struct addrinfo hint = {.ai_socktype = SOCK_STREAM}, *all;
    if (count == 4) { /* -w: not before there is a line */
        puts("waits");
        fflush(stdout);
        getchar();
    }
    int error = getaddrinfo(words[count - 2], words[count - 1], &hint, &all);
    if (error) {
        puts(gai_strerror(error));
        return 1;
    }
    for (struct addrinfo *each = all; each; each = each->ai_next)
        talk(each);
    return 0;
}
