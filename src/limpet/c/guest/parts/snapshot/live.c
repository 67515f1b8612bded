/*
 * Memory of a guest that goes on, told through its standard output, and taken from the standard
 * input by a start of the same bundle.
 *
 * It is told in pieces: where one lies, how long it is, and its bytes, or a mark that all of them
 * are zero; one of no bytes is the last.  What is told and taken is the program's data, that of
 * the library OS, the arena's taken pages and the stack.  What no piece has is as the bundle has
 * it: pages that nobody has, which whoever takes them finds zeroed, and what each start makes anew.
 *
 * Who takes memory is harmed by it at most as by a program that it runs.
 */
#include "parts/memory/placed.h"
#include "parts/memory/reserve.h"
#include "parts/snapshot/snapshot.h"
#include "x86_64/regs.h"
#include "core/thread.h"

#define ZEROS (1UL << 63)              /* of a length: there are no bytes, all are zero */
#define VARIABLE "LIMPET_MEMORY=input" /* a start has it that brings memory */

struct piece {
    u64 low, size;
};

extern u8 boot_end[]; /* of what the monitor fills */

static long told;

long memory_told(void) {
    return told;
}

static void put(const void *from, u64 size) {
    for (u64 at = (u64)from, end = at + size; !told && at < end;) {
        struct console_out block = {.fd = 1, .address = at, .length = MIN(end - at, MAX_TRANSFER)};
        guest_snapshot->console_out(&block);
        if (block.result <= 0)
            told = -EIO;
        at += (u64)block.result;
    }
}

static bool is_zero(u64 at, u64 end) {
    for (; at % sizeof(u64) && at < end; at++)
        if (*(const u8 *)at)
            return false;
    for (; at + sizeof(u64) <= end; at += sizeof(u64))
        if (*(const u64 *)at)
            return false;
    for (; at < end; at++)
        if (*(const u8 *)at)
            return false;
    return true;
}

/* Nobody's page has nothing that anybody would find. */
static bool is_nobodys(u64 at) {
    bool arena = at >= guest_info.arena_lo && at < guest_info.arena_hi;
    return arena && pages_are(ALIGN_DOWN(at, PAGE), 1, PAGES_FREE);
}

static u64 page_end(u64 at, u64 high) {
    return MIN(ALIGN_DOWN(at, PAGE) + PAGE, high);
}

static void tell(u64 low, u64 high) {
    while (low < high) {
        u64 end = page_end(low, high);
        bool left = is_nobodys(low), zero = !left && is_zero(low, end);
        while (end < high && is_nobodys(end) == left &&
               (left || is_zero(end, page_end(end, high)) == zero))
            end = page_end(end, high);
        struct piece piece = {low, (end - low) | (zero ? ZEROS : 0)};
        if (!left)
            put(&piece, sizeof piece);
        if (!left && !zero)
            put((const void *)low, end - low);
        low = end;
    }
}

/* What the program has put out of reach is memory too; come_again() gives that its rights again. */
static void reach(void) {
    for (const struct mapping *each = mapping_from(0); each; each = each->next)
        if (!each->reserved && !(each->rights & PROT_READ))
            guest_memory->protect(each, PROT_READ | PROT_WRITE);
}

/* What lies below the first thread's stack pointer is nobody's. */
static u64 stack_low(void) {
    const struct thread *first = thread_of(1);
    if (!first || !first->call)
        return guest_info.stack_lo;
    u64 at = regs_sp(first->call) - RED_ZONE;
    return at > guest_info.stack_lo && at < strings_low() ? at : guest_info.stack_lo;
}

void memory_tell(struct span left) {
    const struct span *data = (const struct span *)guest_info.data;
    const struct piece last = {0};
    told = guest_snapshot->console_out ? 0 : -ENXIO;
    if (guest_memory)
        reach();
    for (u64 i = 0; i < guest_info.data_count; i++)
        if (!guest_placed || guest_placed->is_loaded(data[i].low))
            tell(data[i].low, data[i].high);
    tell((u64)boot_end, left.low);
    tell(left.high, (u64)state_end);
    tell(guest_info.arena_lo, guest_info.arena_hi);
    tell(stack_low(), strings_low());
    put(&last, sizeof last);
}

static void get(u64 at, u64 size) {
    for (u64 end = at + size; at < end;) {
        struct console_in block = {.address = at, .length = MIN(end - at, MAX_TRANSFER)};
        guest_snapshot->console_in(&block);
        if (block.result <= 0)
            end_unstarted("was to go on with memory that its standard input does not have");
        at += (u64)block.result;
    }
}

/* A page that is zero already stays the file's. */
static void clear(u64 at, u64 high) {
    for (u64 end; at < high; at = end) {
        end = page_end(at, high);
        if (!is_zero(at, end))
            memset((void *)at, 0, end - at);
    }
}

/* Words that nobody looks at cost a virtual machine no exit, and KVM no table for their page. */
static bool brings_memory(void) {
    if (!boot_info.envc)
        return false;
    const char *at = (const char *)boot_info.strings;
    for (u64 i = 0; i < boot_info.argc + boot_info.envc; i++, at += strlen(at) + 1)
        if (i >= boot_info.argc && !strcmp(at, VARIABLE))
            return true;
    return false;
}

bool memory_take(void) {
    struct piece piece;
    if (!brings_memory() || !guest_snapshot->console_in)
        return false;
    if (guest_memory)
        guest_memory->unseal();
    if (guest_memory && snapshot_hidden) /* the memory that comes has a list of its own */
        guest_memory->show(guest_info.arena_lo, guest_info.arena_hi - guest_info.arena_lo);
    for (get((u64)&piece, sizeof piece); piece.size; get((u64)&piece, sizeof piece)) {
        if (guest_placed)
            guest_placed->load(piece.low);
        if (piece.size & ZEROS)
            clear(piece.low, piece.low + (piece.size & ~ZEROS));
        else
            get(piece.low, piece.size);
    }
    return true;
}
