/* Loaded by LD_PRELOAD: stands before a function of the first object, and calls it. */
#define _GNU_SOURCE
#include <dlfcn.h>

int shared_first(int value) {
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "shared_first");
    return next(value) + 1000;
}
