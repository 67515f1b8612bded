/* Greet in the language that the first argument names. */
#include "language.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    const char *language = argc > 1 ? argv[1] : "en";
    char text[64];
    if (greeting(language, text, sizeof text)) {
        fprintf(stderr, "no greeting in '%s': %s\n", language, strerror(errno));
        return 1;
    }
    printf("%s!\n", text);
    return 0;
}
