/* rewind in a process: where it is left and gone on from is snapshot/back.c. */
#include "hypercalls/rewind/account.h"
#include "hypercalls/rewind/keep.h"
#include "hypercalls/rewind/line.h"
#include "parts/snapshot/snapshot.h"

_Noreturn void snapshot_forget(u64 word) {
    static u64 said;
    said = word;
    rewound_go(&said);
    __builtin_unreachable();
}

bool snapshot_keep(u64 stack, void (*back)(void)) {
    return keep_guest(stack, (u64)back);
}

static void process_rewind(struct rewind *block) {
    snapshot_go_back(block);
    tell_news(block);
}
