/*
 * The guest is kept: what is mapped where, and a copy of each page that is not the file's.  Behind
 * the first word none of that can be written again.
 */
/* The rights of the page at `at`, and where the next other ones may begin.  What was not looked at
 * is the program's, and can be read. */
static u64 rights_at(u64 at, u64 *end) {
    *end = guest_info.arena_lo;
    for (u64 i = 0; i < KEPT->place_count; i++) {
        const struct mapped *each = &KEPT->places[i];
        if (at >= each->low && at < each->high) {
            *end = each->high;
            return each->rights;
        }
        if (each->low > at)
            *end = MIN(*end, each->low);
    }
    return at < guest_info.arena_lo ? PROT_READ : 0;
}

static bool keep_places(u64 look) {
    const struct mapped *found = &WORK->query.places.found;
    u64 first = KEPT->place_count, count = first;
    struct watched watched = {0, 0, 0};
    for (u64 at = looks_from(look); next_place(look, at); at = found->high) {
        if (count == PLACES_MOST || escapes(found, &watched))
            return false;
        if (count > first && goes_on(&KEPT->places[count - 1], found))
            KEPT->places[count - 1].high = found->high;
        else
            KEPT->places[count++] = *found;
    }
    KEPT->place_count = count;
    return count != first;
}

static bool keep_all_places(void) {
    KEPT->place_count = 0;
    for (u64 look = 0; look < LOOKS; look++)
        if (!keep_places(look))
            return false;
    return true;
}

static bool keep_piece(u64 low, u64 high, u64 rights, u64 *to) {
    u64 size = high - low;
    if (KEPT->run_count == RUNS_KEPT_MOST || size > NOTED_AT - *to)
        return false;
    copy_words(*to, low, size);
    KEPT->runs[KEPT->run_count++] = (struct written_run){low, high, rights & PROT_WRITE};
    *to += size;
    return true;
}

/* What nobody has, and is out of reach, is not kept: whoever takes it finds zeros. */
static bool is_nobodys(u64 low, u64 high) {
    return low >= guest_info.arena_lo && high <= guest_info.arena_hi &&
           pages_are(low, (high - low) / PAGE, PAGES_FREE);
}

static bool keep_run(const struct written_run *run, u64 *to) {
    for (u64 low = run->low, high; low < run->high; low = high) {
        u64 rights = rights_at(low, &high);
        high = MIN(high, run->high);
        if (rights & PROT_READ ? !keep_piece(low, high, rights, to) : !is_nobodys(low, high))
            return false;
    }
    return true;
}

static bool keep_pages(u64 low, u64 high, u64 *to) {
    for (u64 at = low; at < high; at = WORK->query.pages.behind) {
        long count = written_runs(at, high);
        if (count < 0)
            return false;
        for (long i = 0; i < count; i++)
            if (!keep_run(&WORK->runs[i], to))
                return false;
    }
    return true;
}

static bool keep_all_pages(void) {
    struct watched watched = {0, 0, 0};
    u64 to = COPIES;
    KEPT->run_count = 0;
    while (next_watched(&watched))
        if (!keep_pages(watched.low, watched.high, &to))
            return false;
    return true;
}

/* Not this library OS's own, whose stack is in use. */
static bool is_programs(const struct mapped *place) {
    bool own = place->low >= (u64)&boot_info && place->low < guest_info.arena_lo;
    return place->rights & PROT_WRITE && place->high <= guest_info.arena_hi && !own;
}

/* What only the start has read: there is less to be looked at each time. */
static void drop_unwritten(const struct mapped *place) {
    u64 at = place->low;
    for (u64 i = 0; i <= KEPT->run_count; i++) {
        const struct written_run *run = &KEPT->runs[i];
        bool last = i == KEPT->run_count || run->low >= place->high;
        u64 end = last ? place->high : run->low;
        if (at < end)
            HOST_STUB(rewind, madvise, NR_MADVISE, (long)at, (long)(end - at), PAGES_DROPPED, 0, 0,
                      0);
        if (last)
            return;
        at = MAX(at, run->high);
    }
}

static bool keep_guest(u64 stack, u64 back) {
    if (!keep_all_places() || !keep_all_pages())
        return false;
    for (u64 i = 0; i < KEPT->place_count && !KEPT->head.singly; i++)
        if (is_programs(&KEPT->places[i]))
            drop_unwritten(&KEPT->places[i]);
    KEPT->head.stack = stack, KEPT->head.back = back;
    KEPT->head.kept = 1;
    return true;
}
