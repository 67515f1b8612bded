/* Gives memory back before it reads its input, and touches it behind that; or has it again by then,
 * and tells all of its memory. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SIZE = 3 << 20, KEPT = 64 << 10 };
static sigjmp_buf back;

static void fault(int number) {
    siglongjmp(back, number);
}

static const char *touch(volatile char *at) {
    if (sigsetjmp(back, 1))
        return "out of reach";
    *at = 1;
    return "in reach";
}

static char *map(size_t size) {
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(at, 7, size);
    return at;
}

static int tells(const char *at) {
    int told = write(open("/dev/limpet/memory", O_RDWR), "1", 1) == 1, kept = 1;
    for (size_t i = 0; i < SIZE; i++)
        kept &= at[i] == 7;
    fprintf(stderr, "%d %d\n", told, kept);
    return 0;
}

int main(int count, char **words) {
    (void)words;
    signal(SIGSEGV, fault);
    char *first = map(SIZE), *second = map(KEPT), *third = map(KEPT);
    munmap(first, SIZE);
    munmap(third, KEPT);
    getchar();
    if (count > 1)
        return tells(map(SIZE));
    printf("%s, %s, %s, %s\n", touch(first), touch(first + SIZE - 1), touch(second), touch(third));
    char *again = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int zeros = 1;
    for (size_t i = 0; i < SIZE; i += 512)
        zeros &= !again[i];
    printf("%d %s, %s\n", zeros, touch(again + SIZE / 2), touch(second));
    return 0;
}
