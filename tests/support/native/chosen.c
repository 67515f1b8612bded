/* What a start chooses, as a library: a word beside its bound, and the address that comes of it. */
#include "host.h"

#include "core/words.h"
#define memcpy __builtin_memcpy

enum { CHOICES = 1, CHOICE_SIZE = 150, SHOWN = 200, CHOSEN_FAR = 5 };

static _Alignas(8) u8 table[CHOICE_SIZE];
static void *back[CHOSEN_FAR];
static char said[2 * SHOWN];

#define CHOICES_AT ((u64)table)

static char *put_text(char *to, const char *text) {
    while (*text)
        *to++ = *text++;
    return to;
}

/* In the place of the end: back to who has asked. */
static _Noreturn void leave(void) {
    __builtin_longjmp(back, 1);
}

static void say(const char *what, const char *name, u64 size, const char *why) {
    *put_text(said, what && name && size ? why : "") = 0;
}

static _Noreturn void complain(const char *what, const char *name, u64 size, const char *why) {
    say(what, name, size, why);
    leave();
}

#include "features/chosen/address.c"
#include "features/chosen/chosen.c"

#define EXPORT(type, name, ...)                                                                    \
    __attribute__((visibility("default"))) type name(__VA_ARGS__);                                 \
    type name(__VA_ARGS__)

/* NULL: the place, as the plan packs it, is filled in; else why not. */
EXPORT(const char *, fill, u8 *place, const char *word) {
    memcpy(table, place, sizeof table);
    if (__builtin_setjmp(back))
        return said;
    if (!take_choice(word))
        return "";
    expect_choices();
    memcpy(place, table, sizeof table);
    return NULL;
}
