/*
 * A guest that is asked by many, none of whom may find anything of another: its monitor keeps it,
 * and makes it what it was then whenever it asks.
 *
 * The guest is hostile: it may ask at any time, or never.  So that it asks counts for nothing.
 * Whoever wants it back tells it a word by chance, and sends nothing else before that comes out of
 * the guest's standard input, where only a monitor writes, and only from here.  Then nothing of the
 * guest as it was is left to run, and nothing that was told to it is left to read: it could know
 * the word and leave the end of what told it, for the guest as it is now to begin with.
 */

/* The last run ended with this port access: where the argument block is. */
static struct rewind *asked_block(void) {
    const struct kvm_run_head *head = (const struct kvm_run_head *)KVM_RUN_AT;
    return (struct rewind *)(u64) * (const u32 *)(KVM_RUN_AT + head->data_offset);
}

static u64 clock_of(long which) {
    struct timespec now = {0, 0};
    host3(NR_CLOCK_GETTIME, which, (long)&now, 0);
    return (u64)(now.seconds * 1000000000 + now.nanoseconds);
}

/* What is not as it was: the time, and where its random numbers come from. */
static void tell_news(struct rewind *to) {
    struct rewind told = {.result = 0};
    if (host3(NR_GETRANDOM, (long)told.seed, sizeof told.seed, 0) != sizeof told.seed)
        die(EXIT_REFUSED, "limpet: the host has no entropy\n");
    told.monotonic = clock_of(CLOCK_MONOTONIC), told.realtime = clock_of(CLOCK_REALTIME);
    memcpy(to, &told, sizeof told);
    note_filled((u64)to, sizeof told);
}

static void expect_nothing(void) {
    enum { PEEK_NOW = 0x42 }; /* MSG_PEEK, MSG_DONTWAIT */
    u8 byte;
    if (host6(NR_RECVFROM, STDIN, (long)&byte, sizeof byte, PEEK_NOW, 0, 0) != -HOST_EAGAIN)
        die(EXIT_REFUSED, "limpet: the guest has not read all that it was told, and goes back\n");
}

static void say_word(void) {
    const u64 said[2] = {REWINDING->word, 0}; /* a process says the latter at its end */
    if (host3(NR_WRITE, STDIN, (long)said, sizeof said) != sizeof said)
        die(EXIT_REFUSED, "limpet: nobody waits for the guest to go back\n");
}

static void rewind_if_asked(void) {
    if (!REWINDING->asked)
        return;
    REWINDING->asked = 0;
    expect_nothing();
    if (REWINDING->kept) {
        end_exit();
        bring_pages_back();
        bring_registers_back();
        guest_rewound();
    } else {
        REWINDING->block = asked_block();
        end_exit();
        keep_pages();
        keep_registers();
        REWINDING->kept = 1;
    }
    tell_news(REWINDING->block);
    say_word();
}
