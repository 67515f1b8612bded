/* Says which pages a program with one thread may read and write, and how it is told of others. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS };

static sigjmp_buf back;
static siginfo_t seen;
static const char *const constants[600] = {"relocated", "and", "sealed"};
static char own[4 * PAGE] __attribute__((aligned(PAGE)));

static void caught(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    seen = *info;
    siglongjmp(back, 1);
}

static void touch(const char *how, volatile char *at) {
    char byte = 0;
    if (sigsetjmp(back, 1)) {
        const char *where = seen.si_addr == (const void *)at ? "there" : "elsewhere";
        printf(" %s: signal %d, code %d, %s;", how, seen.si_signo, seen.si_code, where);
        return;
    }
    if (*how == 'r')
        byte = *at;
    else
        *at = byte;
    printf(" %s: works;", how);
}

static void show(const char *what, const volatile void *at) {
    printf("%s", what);
    touch("read", (volatile char *)at);
    touch("write", (volatile char *)at);
    printf("\n");
}

/* What each object's loader seals of it: to the end of the last page that is full. */
static int sealed(struct dl_phdr_info *info, size_t size, void *unused) {
    (void)size, (void)unused;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *each = &info->dlpi_phdr[i];
        uintptr_t low = info->dlpi_addr + each->p_vaddr, high = (low + each->p_memsz) & -PAGE;
        if (each->p_type != PT_GNU_RELRO || low >= high)
            continue;
        show("first sealed", (char *)low);
        show("last sealed", (char *)high - 1);
    }
    return 0;
}

static void of_the_program(void) {
    char stack[3 * PAGE], *inside = (char *)(((uintptr_t)stack + PAGE) & -PAGE);
    show("constants", &constants[300]);
    show("data", own);
    printf("%d\n", mprotect(own + PAGE, PAGE, PROT_READ));
    show("read-only data", own + PAGE);
    show("before it", own + PAGE - 1), show("behind it", own + 2 * PAGE);
    printf("%d\n", mprotect(own + PAGE, PAGE, PROT_NONE));
    show("data out of reach", own + PAGE + 7);
    printf("%d\n", mprotect(own, 3 * PAGE, RW));
    show("data again", own + PAGE);
    printf("%d\n", mprotect(inside, PAGE, PROT_READ));
    show("read-only stack", inside + 9);
    printf("%d\n", mprotect(inside, PAGE, RW));
    show("stack again", inside + 9);
    printf("%d\n",
           mprotect((char *)((uintptr_t)of_the_program & -PAGE), PAGE, PROT_READ | PROT_EXEC));
}

static void of_mappings(void) {
    int file = memfd_create("file", 0);
    if (write(file, own, PAGE) != PAGE)
        return;
    show("read-only", mmap(0, 4 * PAGE, PROT_READ, PRIVATE, -1, 0));
    char *none = mmap(0, 4 * PAGE, PROT_NONE, PRIVATE, -1, 0);
    show("out of reach", none + PAGE + 5);
    printf("%d\n", mprotect(none + PAGE, PAGE, RW));
    show("guarded", none + PAGE + 5);
    show("guard before", none + PAGE - 1), show("guard behind", none + 2 * PAGE);
    show("file", mmap(0, PAGE, PROT_READ, MAP_PRIVATE, file, 0));
    show("file to write", mmap(0, PAGE, RW, MAP_PRIVATE, file, 0));
}

/* The kernel has no more rights than the program. */
static void of_calls(void) {
    int ends[2];
    if (pipe(ends) || write(ends[1], "12345", 5) != 5)
        return;
    printf("%zd", read(ends[0], (char *)&constants[300], 1));
    printf(" %d\n", errno);
    mprotect(own, PAGE, PROT_READ);
    printf("%zd", read(0, own, 1));
    printf(" %d\n", errno);
    mprotect(own, PAGE, PROT_NONE);
    printf("%zd", write(1, own, 1));
    printf(" %d\n", errno);
    mprotect(own, PAGE, RW);
    printf("%zd\n", read(ends[0], own, 5));
}

/* An object that is loaded twice is relocated anew where it was sealed. */
static void of_an_object(const char *path) {
    for (int i = 0; i < 2; i++) {
        void *object = dlopen(path, RTLD_NOW);
        const char *const *names = object ? dlsym(object, "names") : 0;
        if (!names)
            return;
        printf("%s\n", names[511]);
        show("names", names);
        dlclose(object);
    }
}

int main(int count, char **argument) {
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, 0);
    sigaction(SIGBUS, &action, 0);
    dl_iterate_phdr(sealed, 0);
    of_the_program();
    of_mappings();
    of_calls();
    if (count > 1)
        of_an_object(argument[1]);
    return 0;
}
