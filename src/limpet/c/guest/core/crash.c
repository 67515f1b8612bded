/* The one line that says why a guest ended, and the ways to end. */
#include "core/thread.h"
#include "linux.h"
#include "x86_64/signal_abi.h"

static LARGE char line[512];
static size_t used;

RARE void say(const char *text) {
    while (*text && used < sizeof line - 1)
        line[used++] = *text++;
}

static RARE void say_hex(u64 value) {
    char digits[17];
    int at = 16;
    digits[16] = 0;
    do {
        digits[--at] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value);
    say("0x");
    say(digits + at);
}

RARE void say_decimal(u64 value) {
    char digits[21];
    int at = 20;
    digits[20] = 0;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    say(digits + at);
}

static RARE void say_symbol(u64 address) {
    const struct symbol_entry *table = (const struct symbol_entry *)guest_info.symbols;
    u64 low = 0, high = guest_info.symbols_count;
    while (low < high) { /* the last entry at or below the address */
        u64 middle = (low + high) / 2;
        if (table[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low || address >= guest_info.image_hi)
        return;
    say(" in ");
    say((const char *)table[low - 1].name);
    say("+");
    say_hex(address - table[low - 1].address);
}

static const char *signal_name(int number) {
    static const char names[][8] = {
        [SIGQUIT] = "SIGQUIT", [SIGILL] = "SIGILL", [SIGTRAP] = "SIGTRAP", [SIGABRT] = "SIGABRT",
        [SIGBUS] = "SIGBUS",   [SIGFPE] = "SIGFPE", [SIGSEGV] = "SIGSEGV", [SIGSYS] = "SIGSYS"};
    return number >= 0 && (size_t)number < COUNT(names) && names[number][0] ? names[number]
                                                                            : "a signal";
}

static RARE void flush(void) {
    struct console_out block = {.fd = 2, .address = (u64)line, .length = used};
    hypercall_console_out(&block);
    used = 0;
}

void say_line(void) {
    say("\n");
    flush();
}

RARE void say_backend(void) {
    say(", backend ");
    say(boot_info.backend == BACKEND_KVM ? "kvm" : "process");
    say_line();
}

RARE void say_name(void) {
    const char *name = (const char *)guest_info.name;
    for (const char *at = name; *at; at++)
        if (*at == '/')
            name = at + 1;
    say("limpet: ");
    say(name);
}

static RARE void say_asked(const char *name, long number) {
    say_name();
    say(" asked for ");
    say(name ? name : "system call ");
    if (!name)
        say_decimal((u64)number);
}

RARE void say_unserved(const char *name, long number) {
    say_asked(name, number);
    say(", which is not served");
    say_backend();
}

/* A call of code that the plan found nothing to lead to: told once, when it is made. */
RARE long say_unreached(const char *name, long number) {
    static bool told;
    if (!told) {
        told = true;
        say_asked(name, number);
        say(", which nothing in it was found to lead to: build it with --serve ");
        say(name ? name : "all");
        say_backend();
    }
    return -ENOSYS;
}

static bool refused; /* a second address of a shared file's page */

void mapping_refused(void) {
    refused = true;
}

/* After a bad end: what the program lacked, which may well be why. */
static RARE void say_lacked(bool crashed) {
    u64 arena = guest_info.arena_hi - guest_info.arena_lo;
    if (pages_ran_out()) {
        say_name();
        say(" ran out of its ");
        say_decimal((arena + guest_info.stack_hi - guest_info.stack_lo) >> 20);
        say(" MiB of memory: give more with --memory");
        say_backend();
    }
    if (refused) {
        say_name();
        say(" wanted a page of a shared file at two addresses");
        say(guest_memory ? ", in a way that is not served" : ": build it with --feature rights");
        say_backend();
    }
    say_missed(crashed);
}

static struct regs crashed; /* where a core file's writer finds them */

void (*before_end)(void);

static _Noreturn RARE void end(u32 code, const struct regs *regs) {
    if (before_end)
        before_end();
    struct guest_exit block = {.code = code, .registers = (u32)(u64)regs};
    for (;;)
        hypercall_exit(&block);
}

_Noreturn RARE void crash(int signal, const struct regs *regs, const char *what,
                          const u64 *address) {
    say("limpet: the guest ");
    say(what);
    if (address) {
        say(" (");
        say_hex(*address);
        say(")");
    }
    say(" at ");
    say_hex(regs_pc(regs));
    say_symbol(regs_pc(regs));
    say("; ended by ");
    say(signal_name(signal));
    say_backend();
    say_lacked(true);
    crashed = *regs;
    end((u32)SIGNAL_STATUS + (u32)signal, &crashed);
}

_Noreturn RARE void end_deadlocked(const char *what) {
    if (scheduler && threads->next) {
        scheduler->say_what_waits();
    } else {
        say_name();
        say(" waits for ");
        say(what);
        say_backend();
    }
    say_lacked(true);
    guest_exit(STATUS_DEADLOCK);
}

_Noreturn RARE void end_unstarted(const char *why) {
    say_name();
    say(" ");
    say(why);
    say_backend();
    guest_exit(STATUS_CANNOT_START);
}

_Noreturn RARE void panic(const char *what) {
    say("limpet: fault of the library OS: ");
    say(what);
    say_backend();
    guest_exit(STATUS_CANNOT_START);
}

_Noreturn void guest_exit(u32 code) {
    end(code, NULL);
}

_Noreturn void program_exit(u32 code) {
    if (code)
        say_lacked(false);
    guest_exit(code);
}
