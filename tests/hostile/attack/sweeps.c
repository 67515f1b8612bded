/* All interrupts, all ports, and hypercalls with any words. */
__asm__(".type interrupts, @function\n.type ports, @function\n.balign 16\ninterrupts:\n.set "
        "vector, 0\n.rept 256\n.byte 0xcd, vector\nret\nnop\n"
        ".set vector, vector + 1\n.endr\n"
        "ports:\n"
        "out %al, %dx\nret\n.balign 4\nout %ax, %dx\nret\n.balign 4\nout %eax, %dx\nret\n"
        ".balign 4\nin %dx, %al\nret\n.balign 4\nin %dx, %ax\nret\n.balign 4\nin %dx, %eax\nret\n"
        ".balign 4\noutsb\nret\n.balign 4\noutsw\nret\n.balign 4\noutsl\nret\n"
        ".balign 4\ninsb\nret\n.balign 4\ninsw\nret\n.balign 4\ninsl\nret\n");
extern const char interrupts[], ports[];

/* Every vector but those that the machine or Linux gives meaning: 3 and 0x80. */
static void all_interrupts(const u64 *n) {
    int refused = 0;
    catch_all();
    for (u64 vector = 0; vector < 256; vector++)
        if (vector != 3 && vector != 0x80)
            refused += refused_at(interrupts + 4 * vector, 0);
    printf("%d\n", refused);
    (void)n;
}

static void one_interrupt(const u64 *n) {
    ((void (*)(void))(interrupts + 4 * n[0]))();
}

/* Form n[0] of port instructions on every port outside of [n[1], n[2]), n[3] apart. */
static void all_ports(const u64 *n) {
    int refused = 0, tried = 0;
    catch_all();
    for (u64 port = 0; port < 65536; port += port < 0x600 ? 1 : n[3]) {
        if (port >= n[1] && port < n[2])
            continue;
        tried++;
        refused += refused_at(ports + 4 * n[0], port);
    }
    printf("%s\n", tried > 1000 && refused == tried ? "all" : "some");
}

/* Form n[0] on port n[1] with n[2]. */
static void one_port(const u64 *n) {
    memcpy((void *)data, &n[2], 8);
    __asm__ volatile("lea -128(%%rsp), %%rsp\ncall *%[at]\nlea 128(%%rsp), %%rsp"
                     :
                     : [at] "r"(ports + 4 * n[0]), "a"(n[2]), "d"(n[1]), "S"(data), "D"(data)
                     : "memory");
}

/* A hypercall on port n[0] with the words n[2..] at n[1], which are printed afterwards. */
static void block(const u64 *n) {
    memcpy((void *)n[1], n + 2, 32);
    __asm__ volatile("outl %0, %1" ::"a"((uint32_t)n[1]), "Nd"((uint16_t)n[0]) : "memory");
    u64 after[4];
    memcpy(after, (void *)n[1], 32);
    printf("%lx %lx %lx %lx\n", after[0], after[1], after[2], after[3]);
}

/* As block(), of five words, and only the last is printed: the result of a device. */
static void device_block(const u64 *n) {
    memcpy((void *)n[1], n + 2, 40);
    __asm__ volatile("outl %0, %1" ::"a"((uint32_t)n[1]), "Nd"((uint16_t)n[0]) : "memory");
    printf("%ld\n", ((const volatile long *)n[1])[4]);
}

/* A block of nine words at n[1], and a send of four at n[11]: the results of both. */
static void batch(const u64 *n) {
    memcpy((void *)n[1], n + 2, 72);
    memcpy((void *)n[11], n + 12, 32);
    __asm__ volatile("outl %0, %1" ::"a"((uint32_t)n[1]), "Nd"((uint16_t)n[0]) : "memory");
    printf("%ld %ld\n", ((const volatile long *)n[1])[8], ((const volatile long *)n[11])[3]);
}

/* Blocks at n[0], one behind the other: of each its port, how many words, and these; the last word
 * of each.  Port 1 is none: the words behind the first are put where that says. */
static void blocks(const u64 *n) {
    for (const u64 *each = n + 1; each[0]; each += 2 + each[1]) {
        if (each[0] == 1) {
            memcpy((void *)each[2], each + 3, 8 * (each[1] - 1));
            puts("0");
            continue;
        }
        memcpy((void *)n[0], each + 2, 8 * each[1]);
        __asm__ volatile("outl %0, %1" ::"a"((uint32_t)n[0]), "Nd"((uint16_t)each[0]) : "memory");
        printf("%ld\n", ((const volatile long *)n[0])[each[1] - 1]);
    }
}

/* As device_block(), and at n[0] is a page that could be an entry of the table of devices. */
static void forged_device(const u64 *n) {
    for (size_t i = 0; i < 1024; i++)
        ((volatile uint32_t *)n[0])[i] = 1;
    device_block(n + 1);
}
