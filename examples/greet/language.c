#include "language.h"

#include <stdio.h>
#include <string.h>

int greeting(const char *language, char *text, size_t room) {
    char path[64];
    snprintf(path, sizeof path, "/%s.txt", language);
    FILE *file = fopen(path, "r"); /* a packed file: no hypercall, the host is not asked */
    if (!file)
        return -1;
    int result = fgets(text, (int)room, file) ? 0 : -1;
    fclose(file);
    text[strcspn(text, "\n")] = 0;
    return result;
}
