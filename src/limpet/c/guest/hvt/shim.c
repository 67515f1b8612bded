/*
 * The ring-3 shim of a Solo5 hvt guest.
 *
 * The guest was built for ring 0.  Most of its ring-0 instructions were replaced when it
 * was bundled; the few that have an effect trap into here, at places that the plan has
 * listed.  Every other exception goes to the handler that the guest itself has set up, as
 * the processor would have delivered it in ring 0.
 *
 * The guest can write all of the shim's data: nothing here defends the host.
 */
#include "contract.h"
#include "hvt/emulated.h"

#define NO_HANDLER (1UL << 63)
enum vector { DOUBLE_FAULT = 8, GENERAL = 13, PAGE_FAULT = 14 };
enum { RAX = 0, RCX = 1, RDX = 2, MSR_FS_BASE = 0xc0000100, HANDLER_STACK = 16384 };
enum page_fault { PRESENT = 1, USER = 4 };

struct regs {
    u64 by_number[16]; /* as instructions encode them; rsp is in its place too */
    u64 rip, rsp, rflags;
};

extern const struct trap_frame trap_frame;
extern char handler_stack_top[];

static u64 idt_base, idt_limit, fault_address;

static void out(u16 port, void *block) {
    __asm__ volatile("outl %0, %1" ::"a"((u32)(u64)block), "Nd"(port) : "memory");
}

static _Noreturn void end(const struct regs *regs, u64 error) {
    struct hvt_fault block = {regs->rip, trap_frame.address, error};
    for (;;)
        out(PORT_HVT_FAULT, &block);
}

static void set_fs_base(u64 base) {
    __asm__ volatile("wrfsbase %0" ::"r"(base));
}

/* Whether the instruction at rip is one that the plan knows; then it has been done. */
static bool emulate(struct regs *regs) {
    const struct emulated *each = emulated;
    while (each->address && each->address != regs->rip)
        each++;
    switch (each->kind) {
    case LIDT: {
        const u8 *at = (const u8 *)(regs->by_number[each->number] + (u64)each->displacement);
        idt_limit = *(const u16 *)at;
        __builtin_memcpy(&idt_base, at + 2, 8);
        break;
    }
    case FS_BASE:
        if ((u32)regs->by_number[RCX] != MSR_FS_BASE)
            return false;
        set_fs_base(regs->by_number[RDX] << 32 | (u32)regs->by_number[RAX]);
        break;
    case CR2:
        regs->by_number[each->number] = fault_address;
        break;
    default:
        return false;
    }
    regs->rip += each->size;
    return true;
}

static bool has_error_code(u64 vector) {
    return vector == DOUBLE_FAULT || (vector >= 10 && vector <= PAGE_FAULT) || vector == 17 ||
           vector == 21 || vector == 29 || vector == 30;
}

/* The guest's own handler, with the frame that the processor would have pushed. */
static void deliver(struct regs *regs, u64 vector, u64 error) {
    u64 top = (u64)handler_stack_top;
    bool nested = regs->rsp > top - HANDLER_STACK && regs->rsp <= top;
    const u8 *gate = (const u8 *)(idt_base + vector * 16);
    if (!idt_base || nested || vector * 16 + 15 > idt_limit || !(gate[5] & 0x80))
        end(regs, NO_HANDLER | vector);
    u64 *frame = (u64 *)top, cs, ss;
    __asm__ volatile("mov %%cs, %0\nmov %%ss, %1" : "=r"(cs), "=r"(ss));
    *--frame = ss;
    *--frame = regs->rsp;
    *--frame = regs->rflags;
    *--frame = cs;
    *--frame = regs->rip;
    if (has_error_code(vector))
        *--frame = error;
    regs->rip = (u64)gate[0] | (u64)gate[1] << 8 | (u64)gate[6] << 16 | (u64)gate[7] << 24 |
                (u64) * (const u32 *)(gate + 8) << 32;
    regs->rsp = (u64)frame;
    regs->rflags = 2;
    fault_address = trap_frame.address;
}

void shim_serve(struct regs *regs);
void shim_serve(struct regs *regs) {
    u64 vector = trap_frame.vector, error = trap_frame.error;
    if (vector == GENERAL && emulate(regs))
        return;
    if (vector == PAGE_FAULT && error & PRESENT)
        end(regs, error);
    deliver(regs, vector, vector == PAGE_FAULT ? error & ~(u64)USER : error);
}
