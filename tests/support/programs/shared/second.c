/* An object with versioned symbols, and on glibc one that is chosen when it is loaded. */
#include <stdio.h>

__attribute__((constructor)) static void begin(void) {
    puts("second: constructor");
}

__attribute__((destructor)) static void end(void) {
    puts("second: destructor");
}

int shared_second(int value) {
    return 2 * value;
}

const char *old_version(void) {
    return "old";
}

const char *new_version(void) {
    return "new";
}

__asm__(".symver old_version, shared_version@SHARED_1");
__asm__(".symver new_version, shared_version@@SHARED_2");

#ifdef __GLIBC__
static int one(void) {
    return 1;
}

static int (*choose(void))(void) {
    return one;
}

int shared_chosen(void) __attribute__((ifunc("choose")));
#else
int shared_chosen(void) {
    return 1;
}
#endif
