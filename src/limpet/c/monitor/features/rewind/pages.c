/*
 * Pages that were written since the machine was kept, and how they were then.
 *
 * KVM notes what the guest writes, ring 0 included, and handlers what they write for it.  A page
 * that had been written when the machine was kept has a copy.  Any other is the file's, or zeros,
 * and is that again once it is dropped; but a dropped page is an exit, so the first of them get
 * copies too, stay noted, and are copied each time.
 */
enum { LOG_DIRTY_PAGES = 1, MANUAL_PROTECT = 168 };
enum { OFTEN_MOST = 512, OFTEN_RUN = 64 }; /* pages; in a longer run they are somebody's buffer */

#define PAGES ((SLOT_HI - SLOT_LO) / PAGE)
#define WORDS (PAGES / 64 + 1)
#define MAP(number) ((u64 *)(REWIND_AT + 2 * PAGE) + (number) * WORDS)
#define WRITTEN MAP(0) /* by the guest */
#define FILLED MAP(1)  /* by the monitor */
#define COPIED MAP(2)
#define FORGOTTEN MAP(3) /* in WRITTEN no more: KVM is to note the next write */

struct kvm_log {
    u32 slot, count;
    u64 first; /* where the pages are, for one that is read */
    u64 pages;
};

struct run {
    u64 low, high;
};

static void ask_kvm(u32 request, const void *about) {
    if (host3(NR_IOCTL, VM_FD, request, (long)about) < 0)
        die(EXIT_REFUSED, "limpet: KVM does not say which pages the guest has written\n");
}

static u64 number_of(u64 at) {
    return (at - SLOT_LO) / PAGE;
}

static u8 *copy_of(u64 at) {
    return (u8 *)(at + REWIND_COPIES);
}

static bool is_in(const u64 *map, u64 at) {
    return map[number_of(at) / 64] >> number_of(at) % 64 & 1;
}

static void put_in(u64 *map, u64 at) {
    map[number_of(at) / 64] |= 1UL << number_of(at) % 64;
}

/* Both are within the guest's memory. */
static void note_filled(u64 at, u64 size) {
    if (REWINDING->takes && size)
        for (u64 page = at / PAGE * PAGE; page < at + size; page += PAGE)
            put_in(FILLED, page);
}

/* Before the guest runs: what the start has told it is its own no less than what it writes. */
static void watch_pages(void) {
    enum { S_IFSOCK = 0140000 };
    static const struct kvm_enable_cap manual = {.cap = MANUAL_PROTECT, .arguments = {1}};
    static const struct kvm_memory_region watched = {0, LOG_DIRTY_PAGES, SLOT_LO, SLOT_HI - SLOT_LO,
                                                     SLOT_LO};
    const struct boot_info *boot = (const struct boot_info *)BOOT_INFO;
    map_memory(REWIND_AT, REWIND_AT + 2 * PAGE + 4 * WORDS * sizeof(u64) + PAGE);
    if ((boot->stdio[STDIN].mode & S_IFMT) != S_IFSOCK)
        return;
    map_memory(SLOT_LO + REWIND_COPIES, SLOT_HI + REWIND_COPIES);
    if (host3(NR_FCNTL, VCPU_FD - 1, F_DUPFD_CLOEXEC, VM_FD) != VM_FD)
        die(EXIT_CANNOT_START, "limpet: the host lets the monitor have too few descriptors\n");
    if (host3(NR_IOCTL, VM_FD, KVM_ENABLE_CAP, (long)&manual) < 0)
        return;
    ask_kvm(KVM_SET_USER_MEMORY_REGION, &watched);
    REWINDING->takes = 1;
    note_filled(BOOT_INFO, sizeof *boot);
    note_filled(boot->strings, STACK_HI - boot->strings);
}

static void read_log(void) {
    static const struct kvm_log all = {0, 0, (u64)WRITTEN, 0};
    ask_kvm(KVM_GET_DIRTY_LOG, &all);
}

static void forget_written(void) {
    static const struct kvm_log all = {0, PAGES, 0, (u64)FORGOTTEN};
    ask_kvm(KVM_CLEAR_DIRTY_LOG, &all);
}

static void keep_pages(void) {
    read_log();
    for (u64 word = 0; word < WORDS; word++) {
        u64 left = WRITTEN[word] | FILLED[word];
        COPIED[word] = left;
        FORGOTTEN[word] = WRITTEN[word];
        FILLED[word] = 0;
        for (; left; left &= left - 1) {
            u64 at = SLOT_LO + (word * 64 + (u64)__builtin_ctzl(left)) * PAGE;
            memcpy(copy_of(at), (const void *)at, PAGE);
        }
    }
    forget_written();
}

/* Nothing that it ever had: what comes next is the file's, or zeros.  A run is written by the guest
 * as a whole or not at all: what only a read was for may be where nobody can write. */
static void drop(struct run run) {
    if (run.low == run.high)
        return;
    if (host3(NR_MADVISE, (long)run.low, (long)(run.high - run.low), PAGES_DROPPED) != 0)
        die(EXIT_REFUSED, "limpet: the host does not drop pages that the guest has written\n");
    u64 count = (run.high - run.low) / PAGE;
    bool often =
        is_in(WRITTEN, run.low) && count <= OFTEN_RUN && REWINDING->often + count <= OFTEN_MOST;
    REWINDING->often += often ? count : 0;
    for (u64 at = run.low; at < run.high; at += PAGE) {
        put_in(often ? COPIED : FORGOTTEN, at);
        if (often) {
            memcpy(copy_of(at), (const void *)at, PAGE);
            memcpy((void *)at, copy_of(at), PAGE); /* so that it is there already */
        }
    }
}

static bool is_as_kept(u64 at) {
    const u64 *now = (const u64 *)at, *then = (const u64 *)copy_of(at);
    for (u64 i = 0; i < PAGE / sizeof(u64); i++)
        if (now[i] != then[i])
            return false;
    return true;
}

/* Whether page tables were changed, of which KVM has its own. */
static bool bring_back(u64 at, struct run *dropped) {
    bool table = at >= PAGE_TABLES;
    if (is_in(COPIED, at)) {
        if (table && is_as_kept(at))
            return false;
        memcpy((void *)at, copy_of(at), PAGE);
    } else if (dropped->high == at && at - dropped->low < PLACE_MOST &&
               is_in(WRITTEN, at) == is_in(WRITTEN, dropped->low)) {
        dropped->high += PAGE;
    } else {
        drop(*dropped);
        *dropped = (struct run){at, at + PAGE};
    }
    return table;
}

/* KVM does not see what a monitor writes into page tables that it knows. */
static void know_tables_anew(void) {
    static const struct kvm_memory_region none = {0, 0, SLOT_LO, 0, SLOT_LO};
    static const struct kvm_memory_region watched = {0, LOG_DIRTY_PAGES, SLOT_LO, SLOT_HI - SLOT_LO,
                                                     SLOT_LO};
    ask_kvm(KVM_SET_USER_MEMORY_REGION, &none);
    ask_kvm(KVM_SET_USER_MEMORY_REGION, &watched);
}

static void bring_pages_back(void) {
    struct run dropped = {0, 0};
    bool tables = false;
    read_log();
    for (u64 word = 0; word < WORDS; word++) {
        u64 left = WRITTEN[word] | FILLED[word];
        FILLED[word] = FORGOTTEN[word] = 0;
        for (; left; left &= left - 1)
            tables |=
                bring_back(SLOT_LO + (word * 64 + (u64)__builtin_ctzl(left)) * PAGE, &dropped);
    }
    drop(dropped);
    forget_written();
    if (tables)
        know_tables_anew();
}
