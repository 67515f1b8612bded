/* The library OS stack of a thread that has not run yet. */
#include "x86_64/switch.h"
#include "core/thread.h"
#include "x86_64/frame.h"

#define TILES_AT 2752UL /* of XSAVE's area: what is behind is not saved (switch.S) */
#define KEPT 6          /* RBP, RBX, R12 to R15 */
#define CANONICAL_END ((1UL << 47) - 4096)

extern const u8 thread_begin[];

u64 thread_vectors_size(void) {
    return MIN(frame_vectors_size(), TILES_AT);
}

bool thread_pointer_valid(u64 at) {
    return at < CANONICAL_END;
}

static u64 segment_base(void) {
    u64 base;
    __asm__ volatile("rdgsbase %0" : "=r"(base));
    return base;
}

/* As thread_switch leaves it. */
static u64 lay(u64 *at, u64 to, u64 thread_pointer) {
    *--at = to;
    for (int i = 0; i < KEPT; i++)
        *--at = 0;
    *--at = thread_pointer;
    *--at = segment_base();
    u64 vectors = ALIGN_DOWN((u64)at - thread_vectors_size(), 64);
    frame_save_vectors(vectors);
    *(u64 *)(vectors - sizeof(u64)) = (u64)at;
    return vectors - sizeof(u64);
}

u64 thread_stack(u64 top, const struct regs *regs, u64 thread_pointer) {
    struct regs *first = (struct regs *)(top - sizeof *regs);
    *first = *regs;
    return lay((u64 *)first, (u64)thread_begin, thread_pointer);
}

u64 thread_stack_for(u64 top, void (*to)(void)) {
    u64 pointer;
    __asm__ volatile("rdfsbase %0" : "=r"(pointer));
    return lay((u64 *)(ALIGN_DOWN(top, 16) - sizeof(u64)), (u64)to, pointer);
}

_Noreturn void thread_begun(struct regs *regs) {
    scheduler->begun();
    leave_to_program(regs);
    resume(regs);
}
