/* The program's arguments lie in its own stack, one behind the other: it can change what is shown,
 * as on Linux.  Nothing of its environment is. */
#include "core/shown.h"

static void show_command_line(void) {
    const struct boot_info *boot = (const struct boot_info *)BOOT_INFO;
    u64 end = boot->strings;
    for (u64 i = 0; i < boot->argc; i++)
        end += length((const char *)end) + 1;
    show_words(boot->strings, end);
}
