/*
 * The bundle's command line, in the spelling of Solo5's tenders: options for devices
 * and memory, then the guest's own arguments.  All of it comes from the operator.
 */
#include "solo5/solo5.h"

static void take_memory(const char *text, u64 *memory) {
    u64 megabytes;
    if (!parse_number(text, MEMORY_MOST >> 20, &megabytes) || megabytes << 20 < MEMORY_LEAST)
        complain("limpet: --mem=", text, 20,
                 ": Malformed argument to --mem, or too little or much");
    *memory = megabytes << 20;
}

static bool take_word(const char *word, u64 *memory) {
    const char *rest = behind(word, "--mem=");
    if (!rest)
        return take_option(word);
    take_memory(rest, memory);
    return true;
}

/* What is left is the guest's, joined by spaces. */
static void take_command_line(char **arguments) {
    u64 used = 0;
    for (; *arguments; arguments++) {
        u64 size = length(*arguments);
        if (used + size > COMMAND_LINE_MOST)
            complain("limpet: Guest command line too long (max=" COMMAND_LINE_MOST_TEXT
                     " characters)",
                     "", 0, "");
        memcpy(CMDLINE + used, *arguments, size);
        used += size;
        if (arguments[1])
            CMDLINE[used++] = ' ';
    }
    CMDLINE[used] = 0;
}

static u64 take_arguments(u64 *stack) {
    char **arguments = (char **)(stack + 1);
    u64 memory = MEMORY_DEFAULT;
    if (stack[0])
        arguments++;
    for (; *arguments; arguments++) {
        if (behind(*arguments, "--") && !(*arguments)[2]) {
            arguments++;
            break;
        }
        if (!take_word(*arguments, &memory))
            break;
    }
    take_command_line(arguments);
    return memory;
}
