/* Flags of the processor. */
static void set_flags(u64 flags) {
    __asm__ volatile("push %0\npopf" ::"r"(flags) : "cc", "memory");
}

static void alignment_check(const u64 *n) {
    set_flags(0x40202);
    __asm__ volatile("mov %%eax, (%0)" ::"r"(data + 1) : "memory");
    (void)n;
}

static void alignment_call(const u64 *n) {
    set_flags(0x40202);
    call_at((u64)hidden + 1, (const u64[7]){SYS_getpid});
    set_flags(0x202);
    (void)n;
}

static void alignment_fault(const u64 *n) {
    set_flags(0x40202);
    poke(n);
}

static void single_step(const u64 *n) {
    __asm__ volatile("pushf\norl $0x100, (%%rsp)\npopf\nnop\nnop" ::: "cc", "memory");
    (void)n;
}

static void single_step_call(const u64 *n) {
    __asm__ volatile("pushf\norl $0x100, (%%rsp)\nmov $39, %%eax\nlea hidden+1(%%rip), %%rcx\n"
                     "popf\ncall *%%rcx" ::
                         : "rax", "rcx", "r11", "cc", "memory");
    (void)n;
}

static void nested_task(const u64 *n) {
    set_flags(0x4202);
    __builtin_trap();
    (void)n;
}

static void input_output_level(const u64 *n) {
    set_flags(0x3202);
    __asm__ volatile("cli");
    (void)n;
}
