/*
 * A bundle behind a link with a tender's name (solo5-hvt, solo5-spt, or with .1 or .2 behind it):
 * albatross asks it for the version of its ABI, and then starts it with the name of a unikernel
 * between the options and the unikernel's arguments.  That must be the one in the bundle: it is
 * compared by size and CRC-32, which tells one from another; whatever the file is, nothing of it
 * is run.
 */
enum { TENDER_PIECE = 4096 };

static const char *file_name(const char *path) {
    const char *name = path;
    for (; *path; path++)
        if (*path == '/')
            name = path + 1;
    return name;
}

/* The digits behind a tender's name, without the dot; NULL for other names. */
static const char *tender_version(const char *path) {
    const char *rest = behind(file_name(path), TENDER_NAME);
    if (rest && *rest == '.' && rest[1] == TENDER_ABI[0] && !rest[2])
        return rest + 1;
    return rest && !*rest ? rest : NULL;
}

static u32 crc32(u32 crc, const u8 *bytes, u64 size) {
    static const u32 table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                  0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                  0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                  0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    for (u64 i = 0; i < size; i++) {
        crc = crc >> 4 ^ table[(crc ^ bytes[i]) & 15];
        crc = crc >> 4 ^ table[(crc ^ bytes[i] >> 4) & 15];
    }
    return crc;
}

static void expect_own_kernel(const char *path) {
    u8 piece[TENDER_PIECE];
    u32 crc = 0xffffffff;
    u64 size = 0;
    long got, fd = host4(NR_OPENAT, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        complain("limpet: ", path, SHOWN, explain_error(fd));
    while (size <= KERNEL_SIZE && (got = host3(NR_READ, fd, (long)piece, TENDER_PIECE)) > 0) {
        crc = crc32(crc, piece, (u64)got);
        size += (u64)got;
    }
    if (size != KERNEL_SIZE || ~crc != KERNEL_CRC)
        complain("limpet: ", path, SHOWN,
                 ": not the unikernel in this bundle: build it again from that one");
    host3(NR_CLOSE, fd, 0, 0);
}

static bool is_tender_option(const char *word) {
    return behind(word, "--mem=") || behind(word, "--net") || behind(word, "--block");
}

static _Noreturn void tell_version(void) {
    static const char text[] = TENDER_NAME " tender, by Limpet\nABI version " TENDER_ABI "\n";
    host3(NR_WRITE, STDERR, (long)text, sizeof text - 1);
    for (;;)
        host3(NR_EXIT_GROUP, 0, 0, 0);
}

/* Where the kernel's name stood, "--" stands then; what comes before that "--" is not there. */
static u64 *take_tender_words(u64 *stack) {
    char **word = (char **)(stack + 2), **options = word;
    if (!stack[0] || !tender_version((const char *)stack[1]))
        return stack;
    for (; *word && **word == '-'; word++) {
        if (behind(*word, "--version") && !(*word)[9])
            tell_version();
        if (behind(*word, "--") && !(*word)[2])
            break;
        if (!is_tender_option(*word))
            complain("limpet: Invalid option: `", *word, SHOWN, "'");
    }
    bool both = *word && **word == '-';
    if (!word[both])
        complain("limpet: Missing KERNEL operand", "", 0, "");
    expect_own_kernel(word[both]);
    word[both] = (char *)"--";
    if (!both)
        return stack;
    for (char **each = word; each > options; each--)
        *each = each[-1];
    u64 name = stack[1], count = stack[0] - 1;
    stack[1] = count, stack[2] = name;
    return stack + 1;
}
