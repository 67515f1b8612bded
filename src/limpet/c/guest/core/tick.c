#include "core/tick.h"
#include "core/alarm.h"
#include "core/thread.h"
#include "parts/snapshot/snapshot.h"

static bool on_its_way;

void tick_soon(void) {
    struct tick block = {0};
    if (on_its_way)
        return;
    on_its_way = true;
    hypercall_tick(&block);
}

/* In a snapshot one may have been on its way, and no monitor knows of it. */
void tick_renew(void) {
    if (!on_its_way)
        return;
    on_its_way = false;
    tick_soon();
}

/* It met the library OS, which goes on as if nothing had been: to the end of a system call, if it
 * serves one.  Otherwise another tick is to meet the program. */
static _Noreturn void leave_libos(u64 pc, const void *context) {
    struct tick block = {0};
    trap_frame.turn = true;
    hypercall_tick(&block);
    if (pc >= (u64)tick_leave && pc < (u64)tick_leave_end)
        tick_leave_again(context);
    tick_leave(context);
}

void tick_came(const struct regs *regs, const void *context) {
    u64 pc = regs_pc(regs);
    if (pc >= guest_info.text_lo && pc < guest_info.text_hi)
        leave_libos(pc, context);
    tick_on_own_stack(regs);
}

void tick_serve(struct regs *regs) {
    on_its_way = false;
    if (scheduler)
        scheduler->run_another();
    alarms_look();
    if (alarms.signals)
        tick_soon();
    leave_to_program(regs);
}
