/* The distinct functions of a trace on standard input that ran outside of interrupts, and
 * how many entries of how many it still has. */
#include <stdio.h>
#include <string.h>

enum { NAMES = 1 << 15, LENGTH = 64 };
static char names[NAMES][LENGTH];

static void add(const char *name, unsigned long length) {
    unsigned at = 5381;
    if (length >= LENGTH)
        length = LENGTH - 1;
    for (unsigned long i = 0; i < length; i++)
        at = at * 33 + (unsigned char)name[i];
    for (at %= NAMES; names[at][0]; at = (at + 1) % NAMES)
        if (!strncmp(names[at], name, length) && !names[at][length])
            return;
    memcpy(names[at], name, length);
}

int main(void) {
    static char line[1024];
    while (fgets(line, sizeof line, stdin)) {
        long kept, written;
        if (sscanf(line, "# entries-in-buffer/entries-written: %ld/%ld", &kept, &written) == 2)
            printf("entries %ld %ld\n", kept, written);
        const char *flags = strstr(line, "] "), *arrow = strstr(line, " <-");
        const char *colon = flags ? strstr(flags, ": ") : NULL;
        if (line[0] != '#' && arrow && colon && (flags[4] == '.' || flags[4] == 'n'))
            add(colon + 2, (unsigned long)(arrow - colon - 2));
    }
    for (int at = 0; at < NAMES; at++)
        if (names[at][0])
            puts(names[at]);
    return 0;
}
