/* A dynamic program: what it prints has to be the same with Linux's kernel under its loader. */
#define _GNU_SOURCE
#include "shared.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

static int each_object(struct dl_phdr_info *info, size_t size, void *count) {
    const char *name = strrchr(info->dlpi_name, '/');
    int loads = 0;
    for (int i = 0; i < info->dlpi_phnum; i++)
        loads += info->dlpi_phdr[i].p_type == PT_LOAD;
    if (((unsigned long)info->dlpi_phdr & -4096UL) == getauxval(AT_SYSINFO_EHDR))
        return 0; /* the vDSO, which a guest does not have */
    printf("object %s: %d segments, %d\n", name ? name + 1 : info->dlpi_name, loads, size > 0);
    ++*(int *)count;
    return 0;
}

static void use_plugin(const char *path, int by) {
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!plugin) {
        printf("dlopen: %s\n", dlerror() ? "refused" : "no reason");
        return;
    }
    int (*use)(int) = (int (*)(int))dlsym(plugin, "plugin_use");
    Dl_info info;
    printf("plugin: %d", use(by));
    printf(" %d\n", use(by));
    printf("dladdr: %d\n", dladdr((void *)use, &info) && !strcmp(info.dli_sname, "plugin_use"));
    printf("dlclose: %d\n", dlclose(plugin));
}

int main(int argc, char **argv) {
    int count = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("%d %d %d %d\n", shared_first(4), shared_chosen(), ++shared_initial, argc);
    printf("version %s", shared_version());
    const char *(*old)(void) = NULL;
#ifdef __GLIBC__
    old = (const char *(*)(void))dlvsym(RTLD_DEFAULT, "shared_version", "SHARED_1");
#endif
    printf(", %s\n", old ? old() : "none");
    printf("counter %d %d\n", shared_counter()[0]++, shared_counter()[2999]);
    for (int i = 1; i < argc; i++)
        use_plugin(argv[i], i);
    dl_iterate_phdr(each_object, &count);
    printf("%d objects\n", count);
    return count;
}
