/*
 * A fixed piece of work, begun by a line of input: files, memory, clocks and a hundred
 * lines of output.  Says "ready" before and "done" behind it, and ends with its input.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void say(const char *text) {
    if (write(1, text, strlen(text)) < 0)
        exit(3);
}

static void files(void) {
    char bytes[4096];
    struct stat stat_;
    for (int i = 0; i < 50; i++) {
        int fd = open("/data", O_RDONLY);
        if (fd < 0 || fstat(fd, &stat_) || read(fd, bytes, sizeof bytes) <= 0)
            exit(4);
        lseek(fd, 10, SEEK_SET);
        close(fd);
    }
    int fd = open("/tmp/new", O_CREAT | O_RDWR | O_TRUNC, 0600);
    for (int i = 0; i < 50; i++)
        if (write(fd, bytes, sizeof bytes) != sizeof bytes)
            exit(5);
    close(fd);
    rename("/tmp/new", "/tmp/old");
    unlink("/tmp/old");
}

static void memory(void) {
    char *pages = mmap(0, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int at = 0; at < 4 << 20; at += 4096)
        pages[at] = 1;
    munmap(pages, 4 << 20);
}

int main(void) {
    char line[80];
    struct timespec now;
    say("ready\n");
    if (read(0, line, sizeof line) <= 0)
        return 2;
    files();
    memory();
    for (int i = 0; i < 100; i++) {
        clock_gettime(CLOCK_REALTIME, &now);
        getpid();
        snprintf(line, sizeof line, "line %d\n", i);
        say(line);
    }
    say("done\n");
    return read(0, line, sizeof line) != 0;
}
