/* Its memory, and what is not its memory. */
static void peek(const u64 *n) {
    (void)*(volatile const char *)n[0];
}

static void poke(const u64 *n) {
    *(volatile char *)n[0] = (char)0xc3;
}

static void run(const u64 *n) {
    ((void (*)(void))n[0])();
}

static void poke_text(const u64 *n) {
    poke((const u64[]){(u64)poke});
    (void)n;
}

static void poke_constant(const u64 *n) {
    poke((const u64[]){(u64)constant});
    (void)n;
}

static void run_data(const u64 *n) {
    data[0] = (char)0xc3;
    run((const u64[]){(u64)data});
    (void)n;
}

static void run_stack(const u64 *n) {
    volatile char code[16] = {(char)0xc3};
    run((const u64[]){(u64)code});
    (void)n;
}

static void run_heap(const u64 *n) {
    char *code = malloc(1 << 20);
    code[0] = (char)0xc3;
    run((const u64[]){(u64)code});
    (void)n;
}

/* With rights asked for: whatever the answer is, the pages stay as they were. */
static void patch(const u64 *n) {
    u64 page = n[0] & -4096UL;
    long got[] = {
        mprotect((void *)page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC),
        munmap((void *)page, 4096),
        (long)mmap((void *)page, 4096, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
        (long)mremap((void *)data, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)page)};
    for (size_t i = 2; i < 4; i++)
        if (got[i] != -1)
            puts("mapped");
    fflush(stdout);
    poke(n);
}

static int recurse(volatile char *from) {
    volatile char here[4096];
    here[0] = *from;
    return recurse(here) + here[0];
}

static void exhaust_stack(const u64 *n) {
    recurse(data);
    (void)n;
}

static void set_stack(const u64 *n) {
    __asm__ volatile("mov %0, %%rsp\npush %%rax\n" ::"r"(n[0]));
}

static void exhaust_memory(const u64 *n) {
    size_t total = 0;
    for (size_t size = 64 << 20; size >= 4096; size /= 2)
        for (char *p; (p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                                0)) != MAP_FAILED;
             total += size)
            memset(p, 0xaa, size);
    static char line[32];
    total >>= 20;
    line[0] = (char)('0' + total / 10), line[1] = (char)('0' + total % 10), line[2] = '\n';
    write(1, line, 3);
    (void)n;
}
