/* The one line that says why a guest ended, and the ways to end. */
#include "core/core.h"
#include "x86_64/signal_abi.h"

static char line[512];
static size_t used;

static void put(const char *text) {
    while (*text && used < sizeof line - 1)
        line[used++] = *text++;
}

static void put_hex(u64 value) {
    char digits[17];
    int at = 16;
    digits[16] = 0;
    do {
        digits[--at] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value);
    put("0x");
    put(digits + at);
}

static void put_decimal(u64 value) {
    char digits[21];
    int at = 20;
    digits[20] = 0;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    put(digits + at);
}

static void put_symbol(u64 address) {
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
    put(" in ");
    put((const char *)table[low - 1].name);
    put("+");
    put_hex(address - table[low - 1].address);
}

static const char *signal_name(int number) {
    static const char names[][8] = {
        [SIGQUIT] = "SIGQUIT", [SIGILL] = "SIGILL", [SIGTRAP] = "SIGTRAP", [SIGABRT] = "SIGABRT",
        [SIGBUS] = "SIGBUS",   [SIGFPE] = "SIGFPE", [SIGSEGV] = "SIGSEGV", [SIGSYS] = "SIGSYS"};
    return number >= 0 && (size_t)number < COUNT(names) && names[number][0] ? names[number]
                                                                            : "a signal";
}

static void flush(void) {
    struct console_out block = {.fd = 2, .address = (u64)line, .length = used};
    hypercall_console_out(&block);
    used = 0;
}

static void put_backend(void) {
    put(", backend ");
    put(boot_info.backend == BACKEND_KVM ? "kvm" : "process");
    put("\n");
    flush();
}

static void put_name(void) {
    const char *name = (const char *)guest_info.name;
    for (const char *at = name; *at; at++)
        if (*at == '/')
            name = at + 1;
    put("limpet: ");
    put(name);
}

void say_unserved(const char *name, long number) {
    put_name();
    put(" asked for ");
    put(name ? name : "system call ");
    if (!name)
        put_decimal((u64)number);
    put(", which is not served");
    put_backend();
}

/* After a bad end: what the program lacked, which may well be why. */
static void say_lacked(bool crashed) {
    u64 arena = guest_info.arena_hi - guest_info.arena_lo;
    if (pages_ran_out()) {
        put_name();
        put(" ran out of its ");
        put_decimal((arena + guest_info.stack_hi - guest_info.stack_lo) >> 20);
        put(" MiB of memory: give more with --memory");
        put_backend();
    }
    say_missed(crashed);
}

_Noreturn void crash(int signal, const struct regs *regs, const char *what, const u64 *address) {
    put("limpet: the guest ");
    put(what);
    if (address) {
        put(" (");
        put_hex(*address);
        put(")");
    }
    put(" at ");
    put_hex(regs_pc(regs));
    put_symbol(regs_pc(regs));
    put("; ended by ");
    put(signal_name(signal));
    put_backend();
    say_lacked(true);
    guest_exit(SIGNAL_STATUS + (u32)signal);
}

_Noreturn void end_deadlocked(const char *what) {
    put_name();
    put(" waits for ");
    put(what);
    put_backend();
    say_lacked(true);
    guest_exit(STATUS_DEADLOCK);
}

_Noreturn void end_unstarted(const char *why) {
    put_name();
    put(" ");
    put(why);
    put_backend();
    guest_exit(STATUS_CANNOT_START);
}

_Noreturn void panic(const char *what) {
    put("limpet: fault of the library OS: ");
    put(what);
    put_backend();
    guest_exit(STATUS_CANNOT_START);
}

_Noreturn void guest_exit(u32 code) {
    struct guest_exit block = {.code = code};
    for (;;)
        hypercall_exit(&block);
}

_Noreturn void program_exit(u32 code) {
    if (code)
        say_lacked(false);
    guest_exit(code);
}
