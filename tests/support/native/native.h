/* The library OS's own files, included whole, so that a test sees what is static in them. */
#include "libos.h"
#include "linux.h"

#define EXPORT(type, name, ...)                                                                    \
    __attribute__((visibility("default"))) type name(__VA_ARGS__);                                 \
    type name(__VA_ARGS__)
