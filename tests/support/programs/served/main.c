/* All cases, each under its name. */
#include "served.h"
#include <string.h>
#include <unistd.h>
#include <fcntl.h>

const char *own_name(void) {
    static char name[32];
    snprintf(name, sizeof name, "/limpet-%d", getpid());
    return name;
}

int new_file(int size) {
    int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    unlink("file");
    for (int i = 0; i < size; i++)
        write(fd, "x", 1);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static void run(const struct served_case *cases) {
    for (; cases->name; cases++) {
        printf("== %s\n", cases->name);
        fflush(stdout);
        cases->run();
        fflush(stdout);
    }
}

int main(void) {
    run(events);
    run(files);
    run(kinds);
    run(arguments);
    run(signals);
    run(watches);
    run(queues);
    run(limits);
    return 0;
}
