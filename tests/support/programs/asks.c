/* Makes the system calls that its arguments name, without any capability: NUMBER,ARGUMENT,...
 * An argument is a number, `self` for its own id, or `p` and what a buffer holds at first. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned char buffers[6][256];

static long argument(const char *text, int index) {
    if (!strcmp(text, "self"))
        return getpid();
    if (*text != 'p')
        return strtol(text, NULL, 0);
    unsigned *words = (unsigned *)buffers[index];
    memset(words, 0, sizeof buffers[index]);
    for (const char *at = text; *at; at++)
        if (*at == 'p' || *at == ':')
            *words++ =
                !strcmp(at + 1, "self") ? (unsigned)getpid() : (unsigned)strtoul(at + 1, NULL, 0);
    return (long)buffers[index];
}

static void ask(char *line) {
    long values[7] = {0};
    int pointers = 0, count = 0;
    char said[256];
    snprintf(said, sizeof said, "%s", line);
    for (char *word = strtok(line, ","); word && count < 7; word = strtok(NULL, ","), count++) {
        values[count] = count ? argument(word, count - 1) : strtol(word, NULL, 0);
        pointers |= *word == 'p' && count ? 1 << (count - 1) : 0;
    }
    errno = 0;
    long result =
        syscall(values[0], values[1], values[2], values[3], values[4], values[5], values[6]);
    printf("%s = %ld %s", said, result, result < 0 ? strerror(errno) : "");
    for (int i = 0; i < 6; i++)
        for (int at = 0; pointers >> i & 1 && at < 64; at++)
            if (buffers[i][at])
                printf(" %d.%d:%x", i, at, buffers[i][at]);
    putchar('\n');
}

int main(int argc, char **argv) {
    unsigned header[2] = {0x20080522, 0}, none[6] = {0};
    if (syscall(SYS_capset, header, none))
        return 1;
    for (int i = 1; i < argc; i++)
        ask(argv[i]);
    return 0;
}
