/* From the monitor's boot_info to the first instruction of the program, as the
 * psABI (for x86-64 section 3.4.1) and Linux's fs/binfmt_elf.c lay its stack. */
#include "core/start.h"
#include "core/thread.h"
#include "parts/snapshot/snapshot.h"
#include "x86_64/machine.h"

u64 *program_stack;

enum auxv {
    AT_NULL = 0,
    AT_PHDR = 3,
    AT_PHENT = 4,
    AT_PHNUM = 5,
    AT_PAGESZ = 6,
    AT_BASE = 7,
    AT_FLAGS = 8,
    AT_ENTRY = 9,
    AT_UID = 11,
    AT_EUID = 12,
    AT_GID = 13,
    AT_EGID = 14,
    AT_PLATFORM = 15,
    AT_HWCAP = 16,
    AT_CLKTCK = 17,
    AT_SECURE = 23,
    AT_RANDOM = 25,
    AT_HWCAP2 = 26,
    AT_EXECFN = 31
};

static char *push_strings(u64 **to, char *strings, u64 count) {
    while (count--) {
        *(*to)++ = (u64)strings;
        strings += strlen(strings) + 1;
    }
    return strings;
}

static u64 size_of_strings(const char *strings, u64 count) {
    const char *end = strings;
    while (count--)
        end += strlen(end) + 1;
    return (u64)(end - strings);
}

static RARE void push_auxv(u64 *to, u64 execfn) {
    const u64 pairs[][2] = {
        {AT_PHDR, guest_info.phdr},
        {AT_PHENT, guest_info.phent},
        {AT_PHNUM, guest_info.phnum},
        {AT_PAGESZ, PAGE},
        {AT_BASE, guest_info.loader},
        {AT_FLAGS, 0},
        {AT_ENTRY, guest_info.entry},
        {AT_UID, 0},
        {AT_EUID, 0},
        {AT_GID, 0},
        {AT_EGID, 0},
        {AT_CLKTCK, 100},
        {AT_SECURE, 0},
        {AT_RANDOM, (u64)boot_info.random},
        {AT_HWCAP2, HWCAP2},
        {AT_EXECFN, execfn},
        {AT_PLATFORM, (u64)MACHINE},
        {AT_NULL, 0},
    };
    for (u64 i = 0; i < COUNT(pairs); i++) {
        if (pairs[i][0] == AT_PHDR && !guest_info.phdr)
            continue;
        *to++ = pairs[i][0];
        *to++ = pairs[i][1];
    }
}

#define AUXV_WORDS (2 * 20)

/* Below the strings that the monitor has put there: the baked environment, which a program
 * may write as it may on Linux, then the words. */
_Noreturn void start_program(void);
_Noreturn RARE void start_program(void) {
    const char *baked = (const char *)guest_info.environment;
    u64 size = size_of_strings(baked, guest_info.environment_count);
    u64 words = 1 + boot_info.argc + 1 + guest_info.environment_count + boot_info.envc + 1;
    u64 all = size + (words + AUXV_WORDS) * sizeof(u64) + PAGE;
    if (guest_snapshot)
        guest_snapshot->start();
    thread_start();
    if (all > boot_info.strings - guest_info.stack_lo)
        end_unstarted("has no room on its stack for its arguments and environment: "
                      "pass fewer, or give more with --memory");
    char *environment = (char *)boot_info.strings - size;
    u64 *stack = (u64 *)ALIGN_DOWN((u64)environment - (words + AUXV_WORDS) * sizeof(u64), 64);
    u64 *to = program_stack = stack;
    memcpy(environment, baked, size);
    *to++ = boot_info.argc;
    char *passed = push_strings(&to, (char *)boot_info.strings, boot_info.argc);
    *to++ = 0;
    push_strings(&to, environment, guest_info.environment_count);
    push_strings(&to, passed, boot_info.envc);
    *to++ = 0;
    push_auxv(to, boot_info.argc ? boot_info.strings : guest_info.name);
    struct regs regs = regs_at_start(guest_info.start, (u64)stack);
    resume(&regs);
}
