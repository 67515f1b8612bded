/* Text that grows: what a file of /proc says. */
#ifndef LIMPET_TEXT_H
#define LIMPET_TEXT_H

#include "libos.h"

struct text {
    char *bytes;
    u64 used, room;
    bool cut; /* there was no memory for the rest */
};

void text_bytes(struct text *to, const void *bytes, u64 size);
void text_put(struct text *to, const char *string);
void text_number(struct text *to, u64 value);
void text_right(struct text *to, u64 value, u64 width); /* spaces before it */
void text_zeros(struct text *to, u64 value, u64 width); /* zeros before it */
void text_hex(struct text *to, u64 value, u64 width);
void text_octal(struct text *to, u64 value);
void text_free(struct text *text);

#endif
