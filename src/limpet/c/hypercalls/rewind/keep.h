/*
 * The guest is kept: what is mapped where, and a copy of each page that is not the file's.  Behind
 * the first word none of that can be written again.
 */
static bool is_writable(const struct written_run *run) {
    for (u64 i = 0; i < KEPT->place_count; i++) {
        const struct mapped *each = &KEPT->places[i];
        if (run->low >= each->low && run->high <= each->high)
            return each->rights & PROT_WRITE;
    }
    return false;
}

static bool keep_places(void) {
    const struct mapped *found = &WORK->query.places.found;
    u64 count = 0;
    for (u64 at = 0; next_place(at); at = found->high) {
        if (count == PLACES_MOST || escapes(found))
            return false;
        if (count && goes_on(&KEPT->places[count - 1], found))
            KEPT->places[count - 1].high = found->high;
        else
            KEPT->places[count++] = *found;
    }
    KEPT->place_count = count;
    return count != 0;
}

static bool keep_run(const struct written_run *run, u64 *to) {
    u64 size = run->high - run->low;
    if (KEPT->run_count == RUNS_KEPT_MOST || !is_writable(run) ||
        size > REWOUND_AT + REWOUND_SIZE - *to)
        return false;
    copy_words(*to, run->low, size);
    KEPT->runs[KEPT->run_count++] = *run;
    *to += size;
    return true;
}

static bool keep_pages(void) {
    u64 to = COPIES;
    KEPT->run_count = 0;
    for (u64 at = 0; at < GUEST_END; at = WORK->query.pages.behind) {
        long count = written_runs(at);
        if (count < 0)
            return false;
        for (long i = 0; i < count; i++)
            if (!keep_run(&WORK->runs[i], &to))
                return false;
    }
    return true;
}

static bool keep_guest(u64 stack, u64 back) {
    if (!keep_places() || !keep_pages())
        return false;
    KEPT->head.stack = stack, KEPT->head.back = back;
    KEPT->head.kept = 1;
    return true;
}
