/* Loads an object whose parts do not follow each other, twice. */
#include <dlfcn.h>
#include <stdio.h>

int main(int count, char **words) {
    for (int i = 0; i < 2 && count > 1; i++) {
        void *object = dlopen(words[1], RTLD_NOW);
        if (!object)
            return puts(dlerror()) < 0;
        int (*sum)(void) = (int (*)(void))dlsym(object, "sum");
        void (*change)(void) = (void (*)(void))dlsym(object, "change");
        printf("%d\n", sum());
        change();
        printf("%d\n", sum());
        dlclose(object);
    }
    return 0;
}
