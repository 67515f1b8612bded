/* What the test unikernels do; the command line says which. */
#include "abi.h"
#include "compute.h"

void *memcpy(void *to, const void *from, u64 size) {
    for (u64 i = 0; i < size; i++)
        ((volatile u8 *)to)[i] = ((const u8 *)from)[i];
    return to;
}

void *memset(void *to, int byte, u64 size);
void *memset(void *to, int byte, u64 size) {
    for (u64 i = 0; i < size; i++)
        ((volatile u8 *)to)[i] = (u8)byte;
    return to;
}

static u64 length(const char *text) {
    u64 n = 0;
    while (text[n])
        n++;
    return n;
}

static void say(const char *text) {
    put(text, length(text));
}

static void say_number(u64 value) {
    char digits[20];
    int at = 20;
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    put(digits + at, (u64)(20 - at));
}

static const char *after(const char *text, const char *prefix) {
    while (*prefix)
        if (*text++ != *prefix++)
            return 0;
    return text;
}

enum { TIMED_READS = 20000 };

static u8 sector[32768] __attribute__((aligned(4096))), frame[65536];

static void try_block(const char *what, int result) {
    say(what), say(" "), say_number((u64)result), say("\n");
}

static void use_block(void) {
    u64 capacity = manifest->devices[STORAGE].capacity,
        size = manifest->devices[STORAGE].block_size;
    for (u64 at = 0; at < capacity; at += size) {
        for (u64 i = 0; i < size; i++)
            sector[i] = (u8)(at / size + i);
        if (block_write(at, sector, size))
            return try_block("write", 1);
    }
    for (u64 at = 0; at < capacity; at += size) {
        if (block_read(at, sector, size) || sector[1] != (u8)(at / size + 1))
            return try_block("read", 1);
    }
    say("sectors "), say_number(capacity / size), say("\n");
}

static void misuse_block(void) {
    u64 capacity = manifest->devices[STORAGE].capacity,
        size = manifest->devices[STORAGE].block_size;
    try_block("read at the end", block_read(capacity, sector, size));
    try_block("read over the end", block_read(capacity - size, sector, 2 * size));
    try_block("read unaligned", block_read(1, sector, size));
    try_block("read a part", block_read(0, sector, size / 2));
    try_block("read wrapping", block_read(~0UL - size + 1, sector, size));
    try_block("read nothing", block_read(0, sector, 0));
}

/* Nanoseconds for a read of one sector, at random or in order. */
static void time_block(bool random) {
    u64 sectors = manifest->devices[STORAGE].capacity / manifest->devices[STORAGE].block_size;
    u64 size = manifest->devices[STORAGE].block_size, state = 1, start = clock();
    for (u64 i = 0; i < TIMED_READS; i++) {
        state = state * 6364136223846793005 + 1442695040888963407;
        if (block_read((random ? (state >> 33) % sectors : i % sectors) * size, sector, size))
            say("failed\n");
    }
    say_number((clock() - start) / TIMED_READS), say("\n");
}

/* Nanoseconds for the loop. */
static void time_compute(void) {
    u64 start = clock(), sum = compute(TURNS);
    u64 took = clock() - start;
    say("sum "), say_number(sum), say("\n"), say_number(took), say("\n");
}

/* Every frame goes back with its addresses exchanged, until one says "stop". */
static void echo(void) {
    const u8 *mac = (const u8 *)&manifest->devices[SERVICE].capacity;
    say("mtu "), say_number(mac[6] | mac[7] << 8), say("\n");
    for (;;) {
        u64 size = sizeof frame;
        if (net_read(frame, &size) == OK) {
            memcpy(frame, frame + 6, 6);
            memcpy(frame + 6, mac, 6);
            if (net_write(frame, size))
                say("not sent\n");
            if (frame[14] == 's' && frame[15] == 't' && frame[16] == 'o')
                return say("stopped\n");
        } else {
            wait_until(clock() + 5000000000UL);
        }
    }
}

/* "send COUNT HOW": that many numbered frames at once, and no word of it to the host. */
static const char *send_frames(const char *how) {
    static const u8 head[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5};
    u64 count = 0;
    for (; *how >= '0' && *how <= '9'; how++)
        count = count * 10 + (u64)(*how - '0');
    memcpy(frame, head, sizeof head);
    for (u64 i = 0; i < count; i++) {
        frame[14] = (u8)(i >> 8), frame[15] = (u8)i;
        if (net_write(frame, 60))
            return "refused";
    }
    return how + 1;
}

static void exchange(u8 *a, u8 *b, u64 size) {
    while (size--) {
        u8 other = *a;
        *a++ = *b;
        *b++ = other;
    }
}

/* Answers ARP for any address and sends UDP back where it came from; the checksums stay
 * right, since they are sums. */
static void answer_udp(void) {
    for (;;) {
        u64 size = sizeof frame;
        if (net_read(frame, &size) != OK) {
            wait_until(clock() + 5000000000UL);
            continue;
        }
        memcpy(frame, frame + 6, 6);
        memcpy(frame + 6, &manifest->devices[SERVICE].capacity, 6);
        if (frame[12] == 8 && frame[13] == 6 && frame[21] == 1) {
            frame[21] = 2;
            exchange(frame + 22, frame + 32, 10);
            memcpy(frame + 22, frame + 6, 6);
            net_write(frame, size);
        } else if (frame[12] == 8 && frame[13] == 0 && frame[23] == 17) {
            exchange(frame + 26, frame + 30, 4);
            exchange(frame + 34, frame + 36, 2);
            net_write(frame, size);
        }
    }
}

static void sleep(void) {
    u64 start = clock(), wall = wall_clock();
    wait_until(start + 50000000);
    u64 slept = clock() - start, passed = wall_clock() - wall;
    say(slept >= 50000000 && slept < 2000000000 ? "slept\n" : "no sleep\n");
    say(passed >= 49000000 && passed < 2000000000 ? "passed\n" : "not passed\n");
}

static void float_numbers(void) {
    volatile double sum = 0;
    volatile float product[4] = {1, 2, 3, 4};
    for (int i = 1; i < 1000; i++)
        sum += 1.0 / i;
    for (int i = 0; i < 4; i++)
        product[i] *= product[i];
    say_number((u64)(sum * 1000)), say(" "), say_number((u64)product[3]), say("\n");
}

static void thread_local(void) {
    static u64 block[2] = {0x1122334455667788, 42};
    u64 got;
    set_tls((u64)block);
    __asm__ volatile("mov %%fs:8, %0" : "=r"(got));
    say_number(got), say("\n");
}

static const char constant[] = "constant";
const u64 late[512] __attribute__((section(".late"), used)) = {1}; /* behind writable data */
static u8 code[] = {0xc3};

static void misbehave(const char *how) {
    if (after(how, "ud2"))
        __asm__ volatile("ud2");
    else if (after(how, "null"))
        *(volatile u8 *)8 = 1;
    else if (after(how, "rodata"))
        *(volatile char *)constant = 'x';
    else if (after(how, "text"))
        *(volatile u8 *)(u64)run = 0xcc;
    else if (after(how, "code"))
        code[0] = *(volatile u8 *)(u64)run;
    else if (after(how, "data"))
        ((void (*)(void))(u64)code)();
    else if (after(how, "beyond"))
        *(volatile u8 *)memory_size = 1;
    else if (after(how, "divide"))
        __asm__ volatile("div %0" ::"r"(0), "a"(1), "d"(0));
    else if (after(how, "loop"))
        for (;;)
            __asm__ volatile("");
    else if (after(how, "wait"))
        wait_until(clock() + 60000000000UL);
    else if (after(how, "abort"))
        leave(255);
    say("nothing happened\n");
}

void run(void) {
    const char *rest;
    if ((rest = after(command_line, "call ")))
        attack(rest);
    else if ((rest = after(command_line, "bad ")))
        misbehave(rest);
    else if ((rest = after(command_line, "send ")))
        misbehave(send_frames(rest));
    else if (after(command_line, "block"))
        use_block();
    else if (after(command_line, "random"))
        time_block(true);
    else if (after(command_line, "sequential"))
        time_block(false);
    else if (after(command_line, "compute"))
        time_compute();
    else if (after(command_line, "misuse"))
        misuse_block();
    else if (after(command_line, "echo"))
        echo();
    else if (after(command_line, "udp"))
        answer_udp();
    else if (after(command_line, "sleep"))
        sleep();
    else if (after(command_line, "float"))
        float_numbers();
    else if (after(command_line, "tls"))
        thread_local();
    else if (after(command_line, "memory"))
        say_number(memory_size >> 20), say("\n");
    else
        say("hello "), say(command_line), say("\n");
    leave(after(command_line, "exit7") ? 7 : after(command_line, "abort") ? 255 : 0);
}
