/* Loads one object before it waits for input and another behind that, and calls both. */
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

static int of(void *object) {
    int (*used)(void) = object ? (int (*)(void))dlsym(object, "used") : NULL;
    return used ? used() : -1;
}

int main(int argc, char **argv) {
    char byte;
    void *first = argc > 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (of(first) != 1 || read(0, &byte, 1) < 0)
        return 1;
    printf("%d %d\n", of(first), of(dlopen(argv[2], RTLD_NOW)));
    return 0;
}
