/* The table lies between the guest's own pages: a hypercall that reads into memory could
 * name it.  Read-only here too, that is the host kernel's EFAULT. */
static void close_table(void) {
    if (host3(NR_MPROTECT, MANIFEST_AT, TABLE_SIZE, PROT_READ) < 0)
        die(EXIT_CANNOT_START, "limpet: the host refuses to protect the table of devices\n");
}

/* Naming a port or an endpoint, where a start chooses none. */
static __attribute__((unused)) bool refuse_choice(const char *word) {
    if (behind(word, "--connect:") || behind(word, "-p:") || behind(word, "--publish:"))
        complain("limpet: ", word, SHOWN,
                 ": a start chooses nothing here; what is for the guest itself comes behind --");
    return false;
}

/* What stands before the program's own arguments, up to "--" or the first other word:
 * its devices, in the spelling of Solo5's tenders.  The stack comes back without it. */
static u64 *take_devices(u64 *stack) {
    char **word = (char **)(stack + 2);
    u64 name = stack[1];
    for (; stack[0] && *word; word++) {
        if (behind(*word, "--") && !(*word)[2]) {
            word++;
            break;
        }
        if (!take_option(*word))
            break;
    }
    options_taken();
    place_devices();
    close_table();
    u64 *rest = (u64 *)word - 2;
    rest[0] = stack[0] - (u64)(rest - stack);
    rest[1] = name;
    return rest;
}
