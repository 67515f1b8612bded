#include "parts/world/text.h"

#define FIRST_ROOM 1024UL
#define MOST_DIGITS 22UL

static bool make_room(struct text *to, u64 size) {
    u64 room = MAX(to->room, FIRST_ROOM);
    while (room - to->used < size)
        room *= 2;
    if (room == to->room)
        return true;
    char *bigger = to->cut ? NULL : heap_alloc(room);
    if (!bigger) {
        to->cut = true;
        return false;
    }
    memcpy(bigger, to->bytes, to->used);
    heap_free(to->bytes);
    to->bytes = bigger, to->room = room;
    return true;
}

void text_bytes(struct text *to, const void *bytes, u64 size) {
    if (!make_room(to, size))
        return;
    memcpy(to->bytes + to->used, bytes, size);
    to->used += size;
}

void text_put(struct text *to, const char *string) {
    text_bytes(to, string, strlen(string));
}

static void put_digits(struct text *to, u64 value, u64 base, u64 width, char pad) {
    char digits[MOST_DIGITS];
    u64 at = MOST_DIGITS;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    for (u64 length = MOST_DIGITS - at; length < width; length++)
        text_bytes(to, &pad, 1);
    text_bytes(to, digits + at, MOST_DIGITS - at);
}

void text_number(struct text *to, u64 value) {
    put_digits(to, value, 10, 0, ' ');
}

void text_right(struct text *to, u64 value, u64 width) {
    put_digits(to, value, 10, width, ' ');
}

void text_zeros(struct text *to, u64 value, u64 width) {
    put_digits(to, value, 10, width, '0');
}

void text_hex(struct text *to, u64 value, u64 width) {
    put_digits(to, value, 16, width, '0');
}

void text_octal(struct text *to, u64 value) {
    put_digits(to, value, 8, 4, '0');
}

void text_free(struct text *text) {
    heap_free(text->bytes);
    heap_free(text);
}
