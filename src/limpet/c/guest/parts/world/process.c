/* /proc/PID: what the program is. */
#include "core/signals.h"
#include "core/start.h"
#include "parts/system/identity.h"
#include "parts/world/world.h"

u64 memory_pages(void) {
    return (guest_info.arena_hi - guest_info.arena_lo + guest_info.stack_hi - guest_info.stack_lo +
            guest_info.image_hi - guest_info.image_lo) /
           PAGE;
}

static u64 memory_used(void) {
    return memory_pages() - pages_free_count();
}

static u64 signal_set(bool wanted_ignored) {
    u64 set = 0;
    for (int number = 1; number < SIGNALS; number++) {
        u64 handler = signal_actions[number].handler;
        if (handler != SIG_DFL && (handler == SIG_IGN) == wanted_ignored)
            set |= SIGNAL_BIT(number);
    }
    return set;
}

static u64 thread_count(void) {
    u64 count = 0;
    for (const struct thread *each = threads; each; each = each->next)
        count++;
    return count;
}

static bool has_terminal(void) {
    return boot_info.stdio[0].is_tty || boot_info.stdio[1].is_tty || boot_info.stdio[2].is_tty;
}

static void put_name(struct text *to, u64 number) {
    char name[THREAD_NAME];
    thread_name(thread_numbered(number), name);
    text_put(to, name);
}

static void put_numbers(struct text *to, const u64 *numbers, u64 count) {
    for (u64 i = 0; i < count; i++) {
        text_put(to, " ");
        text_number(to, numbers[i]);
    }
}

/* proc(5), fields 4 to 52. */
void make_process_stat(struct text *to, u64 number) {
    u64 used = guest_time ? cpu_time(guest_time->monotonic()) / (NANOSECONDS / 100) : 0;
    u64 words = (u64)program_stack;
    const u64 before_limit[] = {0, 1, 1, has_terminal() ? PTS_NUMBER : 0};
    const u64 to_limit[] = {0x400000,
                            memory_used(),
                            0,
                            0,
                            0,
                            used,
                            0,
                            0,
                            0,
                            20,
                            0,
                            thread_count(),
                            0,
                            0,
                            memory_pages() * PAGE,
                            memory_used()};
    const u64 rest[] = {~0UL,
                        guest_info.image_lo,
                        guest_info.image_hi,
                        words,
                        0,
                        0,
                        current->own.set,
                        current->blocked,
                        signal_set(true),
                        signal_set(false),
                        0,
                        0,
                        0,
                        17,
                        0,
                        0,
                        0,
                        0,
                        0,
                        0,
                        guest_info.image_lo,
                        guest_info.image_hi,
                        pages_first(),
                        boot_info.strings,
                        boot_info.strings + boot_info.strings_length,
                        boot_info.strings,
                        boot_info.strings + boot_info.strings_length,
                        0};
    text_number(to, MAX(number, 1));
    text_put(to, " (");
    put_name(to, number);
    text_put(to, ") R");
    put_numbers(to, before_limit, COUNT(before_limit));
    text_put(to, has_terminal() ? " 1" : " -1");
    put_numbers(to, to_limit, COUNT(to_limit));
    put_numbers(to, rest, COUNT(rest));
    text_put(to, "\n");
}

static void put_size(struct text *to, const char *name, u64 pages) {
    text_put(to, name);
    text_right(to, pages * (PAGE / 1024), 8);
    text_put(to, " kB\n");
}

static void put_set(struct text *to, const char *name, u64 set) {
    text_put(to, name);
    text_hex(to, set, 16);
    text_put(to, "\n");
}

static void put_memory(struct text *to) {
    u64 stack = (guest_info.stack_hi - guest_info.stack_lo) / PAGE;
    u64 image = (guest_info.image_hi - guest_info.image_lo) / PAGE;
    put_size(to, "VmPeak:\t", memory_pages());
    put_size(to, "VmSize:\t", memory_pages());
    put_size(to, "VmLck:\t", 0);
    put_size(to, "VmPin:\t", 0);
    put_size(to, "VmHWM:\t", memory_used());
    put_size(to, "VmRSS:\t", memory_used());
    put_size(to, "RssAnon:\t", memory_used() - image);
    put_size(to, "RssFile:\t", image);
    put_size(to, "RssShmem:\t", 0);
    put_size(to, "VmData:\t", memory_pages() - image - stack);
    put_size(to, "VmStk:\t", stack);
    put_size(to, "VmExe:\t", image);
    put_size(to, "VmLib:\t", 0);
    put_size(to, "VmPTE:\t", 0);
    put_size(to, "VmSwap:\t", 0);
}

static void put_signals(struct text *to) {
    put_set(to, "SigPnd:\t", current->own.set);
    put_set(to, "ShdPnd:\t", signals_of_all.set);
    put_set(to, "SigBlk:\t", current->blocked);
    put_set(to, "SigIgn:\t", signal_set(true));
    put_set(to, "SigCgt:\t", signal_set(false));
}

static void put_four(struct text *to, const u32 *ids) {
    for (int i = 0; i < IDS; i++) {
        text_put(to, "\t");
        text_number(to, ids[i]);
    }
}

void make_status(struct text *to, u64 number) {
    text_put(to, "Name:\t");
    put_name(to, number);
    text_put(to, "\nUmask:\t");
    text_octal(to, 0777 & ~masked(0777));
    text_put(to, "\nState:\tR (running)\nTgid:\t1\nNgid:\t0\nPid:\t");
    text_number(to, MAX(number, 1));
    text_put(to, "\nPPid:\t0\nTracerPid:\t0\n"
                 "Uid:");
    put_four(to, identity.users);
    text_put(to, "\nGid:");
    put_four(to, identity.groups);
    text_put(to, "\nFDSize:\t64\nGroups:\t");
    for (u32 i = 0; i < identity.other_count; i++) {
        text_put(to, i ? " " : "");
        text_number(to, identity.others[i]);
    }
    text_put(to, " \nNStgid:\t1\nNSpid:\t1\nNSpgid:\t1\nNSsid:\t1\n");
    put_memory(to);
    text_put(to, "CoreDumping:\t0\nTHP_enabled:\t0\nThreads:\t");
    text_number(to, thread_count());
    text_put(to, "\nSigQ:\t0/0\n");
    put_signals(to);
    put_set(to, "CapInh:\t", identity.inheritable);
    put_set(to, "CapPrm:\t", identity.permitted);
    put_set(to, "CapEff:\t", identity.effective);
    put_set(to, "CapBnd:\t", identity.bounding);
    put_set(to, "CapAmb:\t", identity.ambient);
    text_put(to, "NoNewPrivs:\t1\n"
                 "Seccomp:\t0\nSeccomp_filters:\t0\nSpeculation_Store_Bypass:\tvulnerable\n"
                 "Cpus_allowed:\t1\nCpus_allowed_list:\t0\nMems_allowed:\t1\n"
                 "Mems_allowed_list:\t0\nvoluntary_ctxt_switches:\t0\n"
                 "nonvoluntary_ctxt_switches:\t0\n");
}

void make_statm(struct text *to, u64 number) {
    u64 image = (guest_info.image_hi - guest_info.image_lo) / PAGE;
    const u64 numbers[] = {memory_used(), image, image, 0, memory_used() - image, 0};
    (void)number;
    text_number(to, memory_pages());
    put_numbers(to, numbers, COUNT(numbers));
    text_put(to, "\n");
}

static const char *after(const char *strings, u64 count, u64 most) {
    const char *end = strings + most;
    for (; count && strings < end; count--)
        strings += strlen(strings) + 1;
    return MIN(strings, end);
}

/* The strings lie where the program may write them, as it may on Linux. */
static const char *arguments_end(void) {
    return after((const char *)boot_info.strings, boot_info.argc, boot_info.strings_length);
}

void make_command_line(struct text *to, u64 number) {
    const char *start = (const char *)boot_info.strings;
    (void)number;
    text_bytes(to, start, (u64)(arguments_end() - start));
}

void make_environment(struct text *to, u64 number) {
    const char *baked = (const char *)guest_info.environment, *passed = arguments_end();
    (void)number;
    text_bytes(to, baked, (u64)(after(baked, guest_info.environment_count, ~0UL >> 1) - baked));
    text_bytes(to, passed,
               (u64)((const char *)boot_info.strings + boot_info.strings_length - passed));
}

/* Behind the arguments and the environment, wherever the program has moved their ends. */
void make_auxv(struct text *to, u64 number) {
    u64 words = 1 + boot_info.argc + 1 + guest_info.environment_count + boot_info.envc + 1,
        count = 0;
    const u64 *auxv = program_stack + words;
    (void)number;
    while (auxv[2 * count] && count < 64)
        count++;
    text_bytes(to, auxv, (count + 1) * 2 * sizeof *auxv);
}

static void put_limit(struct text *to, u64 value, bool last) {
    u64 before = to->used;
    if (value == ~0UL)
        text_put(to, "unlimited");
    else
        text_number(to, value);
    while (!last && to->used - before < 21 && !to->cut)
        text_put(to, " ");
}

void make_limits(struct text *to, u64 number) {
    static const char names[][2][26] = {
        {"Max cpu time             ", "seconds   "}, {"Max file size            ", "bytes     "},
        {"Max data size            ", "bytes     "}, {"Max stack size           ", "bytes     "},
        {"Max core file size       ", "bytes     "}, {"Max resident set         ", "bytes     "},
        {"Max processes            ", "processes "}, {"Max open files           ", "files     "},
        {"Max locked memory        ", "bytes     "}, {"Max address space        ", "bytes     "},
        {"Max file locks           ", "locks     "}, {"Max pending signals      ", "signals   "},
        {"Max msgqueue size        ", "bytes     "}, {"Max nice priority        ", ""},
        {"Max realtime priority    ", ""},           {"Max realtime timeout     ", "us        "}};
    (void)number;
    text_put(to,
             "Limit                     Soft Limit           Hard Limit           Units     \n");
    for (u64 i = 0; i < COUNT(names); i++) {
        u64 limits[2];
        sys_getrlimit((long)i, (long)limits);
        text_put(to, names[i][0]);
        text_put(to, " ");
        put_limit(to, limits[0], false);
        put_limit(to, limits[1], false);
        text_put(to, names[i][1]);
        text_put(to, "\n");
    }
}
