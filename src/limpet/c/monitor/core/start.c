/*
 * What every monitor does first: leave nothing open or mapped that the guest has no
 * use for, and tell it its arguments.
 */
#include "core/monitor.h"

#define BOOT ((struct boot_info *)BOOT_INFO)
#define AT_RANDOM 25

/* Environment strings pass only by name; "A=" in PASSED stands for variable A. */
static bool passes(const char *variable) {
    static const char names[] = PASSED_ENVIRONMENT;
    for (const char *name = names; *name; name += length(name) + 1) {
        size_t i = 0;
        while (name[i] && name[i] == variable[i])
            i++;
        if (!name[i])
            return true;
    }
    return false;
}

static u64 take_strings(char **strings, u64 at, u64 end, bool filter, u64 *count) {
    for (; *strings; strings++) {
        size_t size = length(*strings) + 1;
        if (filter && !passes(*strings))
            continue;
        if (size > end - at)
            die(EXIT_CANNOT_START, "limpet: the arguments do not fit into the guest's stack: "
                                   "pass fewer, or build with more --memory\n");
        memcpy((void *)at, *strings, size);
        at += size;
        (*count)++;
    }
    return at;
}

static void take_random(u64 *auxv) {
    for (; auxv[0]; auxv += 2)
        if (auxv[0] == AT_RANDOM)
            memcpy(BOOT->random, (const void *)auxv[1], sizeof BOOT->random);
}

/* Arguments go to the upper half of the stack region; the program's own stack starts below them.
 * What goes on from a moment starts nothing there: where they are few, they lie in a page that is
 * written anyway, and nothing is mapped for them. */
static void take_arguments(u64 *stack) {
    char **arguments = (char **)(stack + 1), **environment = arguments + stack[0] + 1;
    char **end = environment;
    while (*end)
        end++;
    u64 total = 0;
    for (char **each = arguments; *each; each++)
        total += length(*each) + 1;
    for (char **each = environment; *each; each++)
        total += passes(*each) ? length(*each) + 1 : 0;
    if (total > (STACK_HI - STACK_LO) / 4)
        die(EXIT_CANNOT_START, "limpet: the arguments do not fit into the guest's stack: "
                               "pass fewer, or build with more --memory\n");
    u64 from = total < FEW_WORDS ? FEW_WORDS_AT : (MAP_WORDS(), STACK_HI - total);
    BOOT->strings = from;
    u64 at = take_strings(arguments, from, from + total, false, &BOOT->argc);
    at = take_strings(environment, at, from + total, true, &BOOT->envc);
    BOOT->strings_length = at - from;
    take_random((u64 *)(end + 1));
}

static void look_at_stdio(void) {
    for (int fd = 0; fd < FIRST_FD; fd++) {
        struct stdio_info *info = &BOOT->stdio[fd];
        u8 stat[STAT_SIZE];
        if (host3(NR_FSTAT, fd, (long)stat, 0) < 0)
            continue;
        info->mode = *(u32 *)(stat + STAT_MODE_AT), info->size = *(u64 *)(stat + STAT_SIZE_AT);
        if ((info->mode & S_IFMT) != S_IFCHR)
            continue;
        u16 size[4] = {0};
        long refused = host3(NR_IOCTL, fd, TCGETS, (long)info->termios);
        if (refused == -HOST_EBADF) /* it stands in for a closed one */
            info->mode = 0;
        if (!refused) {
            info->is_tty = 1;
            host3(NR_IOCTL, fd, TIOCGWINSZ, (long)size);
            info->rows = size[0], info->columns = size[1];
        }
    }
}

static void take_time(void) {
    struct timespec now = {0, 0};
    host3(NR_CLOCK_GETTIME, CLOCK_REALTIME, (long)&now, 0);
    BOOT->realtime = (u64)(now.seconds * 1000000000 + now.nanoseconds);
}

/* On kvm: the rate of its TSC. */
static inline void vcpu_ready(long khz) {
    BOOT->tsc_khz = khz > 0 ? (u64)khz : 0;
    BOOT->backend = BACKEND_KVM;
}

static void prepare(u64 *stack) {
    MAP_MEMORY();
    take_arguments(stack);
    look_at_stdio();
    take_time();
}
