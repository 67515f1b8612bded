/* Memory and strings under other names: a process has the C library's already. */
#include "native.h"
#include "core/string.c"

EXPORT(void *, copy, void *to, const void *from, size_t n) {
    return memcpy(to, from, n);
}

EXPORT(void *, move, void *to, const void *from, size_t n) {
    return memmove(to, from, n);
}

EXPORT(void *, set, void *to, int byte, size_t n) {
    return memset(to, byte, n);
}

EXPORT(int, compare, const void *a, const void *b, size_t n) {
    return memcmp(a, b, n);
}

EXPORT(size_t, length, const char *s) {
    return strlen(s);
}

EXPORT(int, compare_strings, const char *a, const char *b) {
    return strcmp(a, b);
}
