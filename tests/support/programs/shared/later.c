/* Loads one object before it waits for input and another behind that, and calls both.  Told
 * "p PORT BLOCK", it first asks a virtual machine's monitor by itself for each address behind that
 * to be written, and prints what that says; told "w ADDRESS" it writes there. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

static int of(void *object) {
    int (*used)(void) = object ? (int (*)(void))dlsym(object, "used") : NULL;
    return used ? used() : -1;
}

static void ask(void) {
    unsigned long port, block, data;
    scanf("%li %li", &port, &block);
    while (scanf("%li", &data) == 1) {
        volatile int64_t *asked = (volatile int64_t *)block;
        asked[0] = (int64_t)data;
        __asm__ volatile("outl %0, %w1" ::"a"((uint32_t)block), "d"(port) : "memory");
        printf("%d ", (int)asked[1]);
    }
}

int main(int argc, char **argv) {
    char byte, *data;
    void *first = argc > 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (of(first) != 1 || read(0, &byte, 1) < 0)
        return 1;
    if (byte == 'p')
        ask();
    if (byte == 'w' && scanf("%li", (long *)&data) == 1)
        *data = 1;
    printf("%d %d\n", of(first), of(dlopen(argv[2], RTLD_NOW)));
    return 0;
}
