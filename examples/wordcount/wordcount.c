/* A filter: count lines, words and bytes of standard input. */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>

int main(void) {
    unsigned long lines = 0, words = 0, bytes = 0;
    bool in_word = false;
    for (int c; (c = getchar()) != EOF; bytes++) {
        lines += c == '\n';
        words += !isspace(c) && !in_word;
        in_word = !isspace(c);
    }
    if (ferror(stdin)) {
        perror("standard input");
        return 1;
    }
    printf("%lu %lu %lu\n", lines, words, bytes);
    return 0;
}
