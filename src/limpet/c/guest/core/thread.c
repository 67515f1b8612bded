#include "core/thread.h"

#define STACK_SIZE 32768

static struct {
    u8 stack[STACK_SIZE];
    struct thread thread;
} first __attribute__((section(".bss..stack"), aligned(64)));

struct thread *current = &first.thread;
struct thread *threads;

void thread_start(void) {
    threads = current;
    *current = (struct thread){.signal_stack = {.flags = SS_DISABLE}, .name = "guest"};
}
