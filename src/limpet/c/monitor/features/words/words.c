/* Words of the bundle's own, in the place of its name: they end where the next word begins. */
static void put_own_words(void) {
    static const char words[] = OWN_WORDS; /* a zero behind each, and one more */
    struct boot_info *boot = (struct boot_info *)BOOT_INFO;
    const u64 size = sizeof words - 1;
    u64 at = boot->strings, name = boot->argc ? length((const char *)at) + 1 : 0;
    u64 all = boot->strings_length - name + size;
    if (all > (STACK_HI - STACK_LO) / 4)
        die(EXIT_CANNOT_START, "limpet: the arguments do not fit into the guest's stack: "
                               "pass fewer, or build with more --memory\n");
    boot->strings = at + name - size, boot->strings_length = all;
    boot->argc += OWN_WORDS_COUNT - (name != 0);
    memcpy((void *)boot->strings, words, size);
}
