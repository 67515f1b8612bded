/* Calls little of a library that can do much, and comes to more by a way that nobody can see. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

long again(long times);
long call39(void);
long entered(long flag);
long named(long flag);

int main(int argc, char **argv) {
    long (*found)(void) = dlsym(RTLD_DEFAULT, argc > 9 ? "looked_up" : "call110");
    printf("%d %ld %ld\n", call39() == getpid(), again(3), named(9));
    printf("%d\n", found && found() == getppid());
    printf("%d %d\n", entered(0) == getpid(), entered(1) == getppid());
    if (argc > 1) { /* how far that function is from one whose name is known */
        long (*hidden)(void) = (long (*)(void))((char *)call39 + atol(argv[1]));
        printf("%d\n", (int)hidden());
    }
    return 0;
}
