/* Loads an object in a name space of its own, or a copy that it has just written. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void copy(const char *from, const char *to) {
    char buffer[4096];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT, 0755);
    for (ssize_t got; (got = read(in, buffer, sizeof buffer)) > 0;)
        if (write(out, buffer, (size_t)got) != got)
            return;
    close(in);
    close(out);
}

int main(int argc, char **argv) {
    void *found;
    if (argc > 2 && !strcmp(argv[2], "apart")) {
        found = dlmopen(LM_ID_NEWLM, argv[1], RTLD_NOW);
    } else {
        copy(argv[1], "/tmp/copy.so");
        found = dlopen("/tmp/copy.so", RTLD_NOW);
    }
    puts(found ? "loaded" : dlerror());
    return 0;
}
