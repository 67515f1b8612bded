/* Uses a shared object in one way, behind its moment and when it is told to. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern char room[12288];
extern const void *const table[];
extern const char constants[];
int work(int by);

static void run(const void *at) {
    ((void (*)(void))(unsigned long)at)();
}

int main(void) {
    char asked[2] = "", *volatile data = room;
    const void *volatile sealed = table;
    int ends[2];
    while (read(0, asked, 2) == 2)
        switch (*asked) {
        case 'c': /* code, which writes */
            printf("%d\n", work(1));
            break;
        case 'd': /* data alone, on two pages */
            data[0] += 1, data[8192] += 2;
            printf("%d %d\n", data[0], data[8192]);
            break;
        case 'h': /* the host fills it, and more of it than a page */
            read(0, data + 4090, 10);
            printf("%.10s\n", data + 4090);
            break;
        case 'p': /* the library OS does, beside the kernel of Linux */
            if (pipe(ends) || write(ends[1], "klmnopqrst", 10) != 10 ||
                read(ends[0], data + 4090, 10) != 10)
                return 1;
            printf("%.10s\n", data + 4090);
            break;
        case 's': /* what its loader has sealed */
            *(volatile char *)sealed = 1;
            break;
        case 'u': /* which it opens first */
            mprotect((void *)((unsigned long)sealed & -4096UL), 4096, PROT_READ | PROT_WRITE);
            *(volatile char *)sealed = 1;
            printf("%d\n", *(const volatile char *)sealed);
            break;
        case 'e':
            run(data);
            break;
        case 'k':
            run(constants);
            break;
        case 'm':
            fflush(stdout);
            write(open("/dev/limpet/memory", O_WRONLY), "m", 1);
        }
    fflush(stdout);
    _exit(0); /* else each object would be used as it ends */
}
