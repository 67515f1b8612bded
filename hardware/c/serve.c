/*
 * `serve`: a server that waits for its connections with epoll and answers each request.  `ask`: its
 * client, which asks once, says "ready", asks again for a line of input and says "done".
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in address(void) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int serve(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), set = epoll_create1(0);
    struct sockaddr_in at = address();
    struct epoll_event event = {EPOLLIN, {.fd = listener}};
    char bytes[1000];
    if (bind(listener, (void *)&at, sizeof at) || listen(listener, 5))
        return 1;
    epoll_ctl(set, EPOLL_CTL_ADD, listener, &event);
    while (epoll_wait(set, &event, 1, -1) == 1) {
        if (event.data.fd == listener) {
            event.data.fd = accept(listener, NULL, NULL);
            epoll_ctl(set, EPOLL_CTL_ADD, event.data.fd, &event);
        } else if (recv(event.data.fd, bytes, sizeof bytes, 0) <= 0) {
            return 0;
        } else {
            send(event.data.fd, bytes, 600, 0);
        }
    }
    return 2;
}

static int ask_once(int fd) {
    char bytes[600];
    return send(fd, "GET", 3, 0) == 3 && recv(fd, bytes, sizeof bytes, MSG_WAITALL) == 600;
}

static int ask(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = address();
    char line[10];
    for (int i = 0; i < 50 && connect(fd, (void *)&at, sizeof at); i++)
        usleep(100000);
    for (int i = 0; i < 20; i++)
        if (!ask_once(fd))
            return 1;
    puts("ready"), fflush(stdout);
    if (!fgets(line, sizeof line, stdin) || !ask_once(fd))
        return 2;
    puts("done"), fflush(stdout);
    return !fgets(line, sizeof line, stdin);
}

int main(int argc, char **argv) {
    return argc > 1 && !strcmp(argv[1], "ask") ? ask() : serve();
}
