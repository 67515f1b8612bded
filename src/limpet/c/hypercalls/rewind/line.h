/*
 * A process is made as it was kept, by code that its guest can jump to and cannot change.
 *
 * The guest is hostile: it runs in this very process, and may come here at any time, to any
 * instruction, with any registers.  So nothing counts but the word: the filter lets one instruction
 * send it, and behind that all is this file's.  Who has not come past it is not believed; who has
 * runs nothing more of its own.  Only a signal could lead out: its entry looks where it came, and
 * what it has met here begins again, since nothing here harms by being done twice.
 *
 * Whatever is not found as it was kept ends the process.
 *
 * What is noted from one time to the next is how many faults there were, and that all is mapped as
 * it was.  Each can be written by one instruction on the way, which a guest can jump to as well.
 * But from there the way leads to its end only, where it is heard: and there was no word before.
 */
BEHIND _Noreturn void give_up(void) {
    for (;;)
        HOST_STUB(rewind, exit_group, NR_EXIT_GROUP, STATUS_REFUSED, 0, 0, 0, 0, 0);
}

/* What waits for the guest in the kernel: a tick, signals, and what it has not read. */
BEHIND void forget_waiting(void) {
    enum { PEEK_NOW = 0x42 }; /* MSG_PEEK, MSG_DONTWAIT */
    u8 told[SIGNAL_SIZE];
    HOST_STUB(rewind, setitimer, NR_SETITIMER, TICK_CLOCK, REWOUND_AT, 0, 0, 0, 0);
    while (HOST_STUB(rewind, read, NR_READ, SIGNAL_FD, (long)told, sizeof told, 0, 0, 0) > 0)
        ;
    if (HOST_STUB(rewind, recvfrom, NR_RECVFROM, STDIN, (long)told, 1, PEEK_NOW, 0, 0) !=
        -HOST_EAGAIN)
        give_up();
}

/* Whoever had the guest when it was kept may have written all of this: what is kept is one thing,
 * and the same each time, whatever it says.  Of whole pages: what is copied are words, and a page
 * between two runs would have bytes of neither. */
BEHIND void seal_kept(void) {
    u64 above = 0, left = NOTED_AT - COPIES;
    if (HOST_STUB(rewind, mprotect, NR_MPROTECT, REWOUND_AT, REWOUND_SIZE, PROT_READ, 0, 0, 0) != 0)
        give_up();
    if (!KEPT->head.kept || KEPT->place_count > PLACES_MOST || KEPT->run_count > RUNS_KEPT_MOST)
        give_up();
    for (u64 i = 0; i < KEPT->run_count; i++) {
        const struct written_run *each = &KEPT->runs[i];
        if (each->low < above || each->high <= each->low || each->high > GUEST_END ||
            (each->low | each->high) % PAGE || each->high - each->low > left)
            give_up();
        above = each->high, left -= each->high - each->low;
    }
}

BEHIND bool is_same(const struct mapped *one, const struct mapped *other) {
    return one->low == other->low && one->high == other->high && one->rights == other->rights &&
           one->offset == other->offset && one->inode == other->inode;
}

BEHIND void expect_kept(u64 number) {
    if (number == KEPT->place_count || !is_same(&WORK->in_a_row, &KEPT->places[number]))
        give_up();
}

/* Behind the first `count` that are kept: how many there are now. */
BEHIND u64 compare_places(u64 look, u64 count) {
    const struct mapped *found = &WORK->query.places.found;
    struct watched watched = {0, 0, 0};
    bool first = true;
    for (u64 at = looks_from(look); next_place(look, at); at = found->high, first = false) {
        if (escapes(found, &watched))
            give_up();
        if (!first && goes_on(&WORK->in_a_row, found)) {
            WORK->in_a_row.high = found->high;
            continue;
        }
        if (!first)
            expect_kept(count++);
        copy_words((u64)&WORK->in_a_row, (u64)found, sizeof *found);
    }
    if (first)
        give_up();
    expect_kept(count++);
    return count;
}

/* Whether nothing was mapped otherwise since all was compared last: what does that leaves a note
 * (x86_64/arranging.h). */
BEHIND bool is_still(void) {
    return HOST_STUB(rewind, fcntl, NR_FCNTL, PLACES_FD, F_GETFD, 0, 0, 0, 0) == NOTHING_ARRANGED;
}

/* Nobody asks a guest whose memory somebody could be told of: it could mark pages for the next
 * call. */
BEHIND void map_as_always(void) {
    HOST_STUB(rewind, close, NR_CLOSE, SINGLY_FD, 0, 0, 0, 0, 0);
}

BEHIND void compare_all_places(void) {
    u64 count = 0;
    for (u64 look = 0; look < LOOKS; look++)
        count = compare_places(look, count);
    if (count != KEPT->place_count)
        give_up();
}

struct dropping {
    u64 next; /* of the runs that are kept, the first to be looked at */
    bool any;
};

/* What of [low, high) has no copy. */
BEHIND void drop_others(u64 low, u64 high, struct dropping *on) {
    while (low < high) {
        while (on->next < KEPT->run_count && KEPT->runs[on->next].high <= low)
            on->next++;
        const struct written_run *kept = on->next < KEPT->run_count ? &KEPT->runs[on->next] : NULL;
        u64 end = kept && kept->low < high ? kept->low : high;
        on->any |= low < end;
        if (low < end && HOST_STUB(rewind, madvise, NR_MADVISE, (long)low, (long)(end - low),
                                   PAGES_DROPPED, 0, 0, 0) != 0)
            give_up();
        low = low < end ? end : kept->high;
    }
}

/* What could only be read when it was kept is not written, but has to be what it was. */
BEHIND void expect_same(u64 low, u64 from, u64 size) {
    for (u64 i = 0; i < size; i += sizeof(u64))
        if (*(const volatile u64 *)(low + i) != *(const volatile u64 *)(from + i))
            give_up();
}

BEHIND void drop_written(u64 low, u64 high, struct dropping *on) {
    for (u64 at = low; at < high; at = WORK->query.pages.behind) {
        long count = written_runs(at, high);
        if (count < 0)
            give_up();
        for (long i = 0; i < count; i++)
            drop_others(WORK->runs[i].low, WORK->runs[i].high, on);
    }
}

/* A page that has a copy: to bring it back is a fault, by which a kernel is known that counts. */
BEHIND void drop_one(void) {
    for (u64 i = 0; i < KEPT->run_count; i++)
        if (KEPT->runs[i].kinds) {
            HOST_STUB(rewind, madvise, NR_MADVISE, (long)KEPT->runs[i].low, PAGE, PAGES_DROPPED, 0,
                      0, 0);
            return;
        }
}

/* Whether there was any page without a copy: who has written such is likely to do so again, and
 * nothing is noted. */
BEHIND bool drop_all(void) {
    struct dropping on = {0, false};
    struct watched watched = {0, 0, 0};
    while (next_watched(&watched))
        drop_written(watched.low, watched.high, &on);
    if (!on.any && !NOTED)
        drop_one();
    return on.any;
}

/* Where there was no fault since all pages were known, none was written for the first time.  Those
 * that were written before can lie elsewhere: of a file that shows, since each page of it is there
 * once, and moves with its place in the file.  Memory of no file is looked at. */
BEHIND void drop_moved(void) {
    struct dropping on = {0, false};
    for (u64 i = 0; i < KEPT->place_count; i++) {
        const struct mapped *each = &KEPT->places[i];
        if (each->low >= guest_info.arena_lo && !each->inode)
            drop_written(each->low, each->high, &on);
    }
}

BEHIND void bring_copies_back(void) {
    u64 from = COPIES;
    for (u64 i = 0; i < KEPT->run_count; i++) {
        const struct written_run *each = &KEPT->runs[i];
        if (each->kinds)
            copy_words(each->low, from, each->high - each->low);
        else
            expect_same(each->low, from, each->high - each->low);
        from += each->high - each->low;
    }
}

/* What is to be noted, if anything: how many faults there were when all pages were known, and that
 * all is mapped as it was. */
struct noting {
    u64 faults, still; /* in RAX and RDX */
};

/* On a stack of its own. */
static __attribute__((used, noinline)) struct noting rewound_make(void) {
    bool still = is_still();
    forget_waiting();
    seal_kept();
    if (!still) {
        map_as_always();
        compare_all_places();
    }
    u64 before = faults_until_now();
    bool known = before != 0 && before == NOTED, noted = !known;
    if (!known)
        noted = !drop_all();
    else if (!still)
        drop_moved();
    bring_copies_back();
    u64 after = noted ? faults_until_now() : 0;
    return (struct noting){NOTED || after > before ? after : 0, !still};
}

static __attribute__((used, noinline)) void rewound_seal(void) {
    seal_kept();
}

static __attribute__((used, noinline)) void rewound_end_it(void) {
    give_up();
}

static void tell_news(struct rewind *to) {
    struct timespec now = {0, 0};
    HOST_STUB(rewind, clock_gettime, NR_CLOCK_GETTIME, CLOCK_MONOTONIC, (long)&now, 0, 0, 0, 0);
    to->monotonic = (u64)(now.seconds * 1000000000 + now.nanoseconds);
    HOST_STUB(rewind, clock_gettime, NR_CLOCK_GETTIME, CLOCK_REALTIME, (long)&now, 0, 0, 0, 0);
    to->realtime = (u64)(now.seconds * 1000000000 + now.nanoseconds);
    if (HOST_STUB(rewind, getrandom, NR_GETRANDOM, (long)to->seed, sizeof to->seed, 0, 0, 0, 0) !=
        sizeof to->seed)
        panic("the host has no entropy");
}

#include "x86_64/word.h"
