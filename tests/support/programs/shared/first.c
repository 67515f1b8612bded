/* The object that the program starts with: it needs the second one. */
#include "shared.h"

#include <stdio.h>

__thread int shared_initial = 41;
static int counter[3000] = {5};
int shared_second(int value);

__attribute__((constructor)) static void begin(void) {
    puts("first: constructor");
}

__attribute__((destructor)) static void end(void) {
    puts("first: destructor");
}

int shared_first(int value) {
    return shared_second(value) + 1;
}

int *shared_counter(void) {
    return counter;
}
