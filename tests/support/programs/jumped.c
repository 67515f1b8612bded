/*
 * A guest of a process that is kept, and that comes to the code of its monitor in every wrong way.
 * It says what it finds each time that it goes on, and reads a word of eight bytes, of which the
 * first says how, with the addresses that it needs.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    WORK = 32,
    FIXED = 3,
    MREMAP = 25,
    MPROTECT = 10,
    MADVISE = 28,
    IOCTL = 16,
    FCNTL = 72,
    PKEY_MPROTECT = 329,
    PAGES = 124,
    PLACES = 125,
    DROP = 4,
    NOTHING = 0,
    READ_ONLY = 1,
    READ_WRITE = 3
};

struct order {
    char word[8];
    uint64_t begin, behind, end, over, place, protect, drop, ask, mark, still;
    uint64_t low, high, free, kept, work, arena, noted;
};

static struct order order;
static volatile char *mapped; /* pages of the file's */
static volatile char *work;   /* where that code works */
static volatile char *nobody; /* two pages of no file: one is written before all this is kept */
static volatile char __attribute__((aligned(PAGE))) data[64][PAGE];
static __attribute__((aligned(PAGE))) char filled[PAGE] = {"f"}; /* by the file */
static int noted[2]; /* whether writes to it could be, before all this is kept, and behind */
static __attribute__((aligned(PAGE))) char sealed[2][PAGE] = {"s", "t"}; /* by the program itself */

static void mine(int number, siginfo_t *info, void *context) {
    static const char line[] = "the guest's own code runs behind the word\n";
    uint64_t at = (uint64_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    (void)number, (void)info;
    if (at >= order.behind && at < order.over)
        write(1, line, sizeof line - 1);
}

/* The system call of a stub, whose label stands behind it, and then the end of a function. */
static long ask(uint64_t label, long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                uint64_t e) {
    register long r10 __asm__("r10") = (long)d;
    register long r8 __asm__("r8") = (long)e;
    long result;
    __asm__ volatile("sub $128, %%rsp\ncall *%[to]\nadd $128, %%rsp"
                     : "=a"(result), "+D"(a), "+S"(b), "+d"(c), "+r"(r10), "+r"(r8)
                     : "a"(number), [to] "b"(label - 2)
                     : "rcx", "r9", "r11", "memory");
    return result;
}

/* Whether the kernel would note writes to pages of the file, and tell who asks it for pages. */
static int is_noted(void) {
    enum { WRITTEN = 2, ONLY_WHERE_NOTED = 2 };
    const uint64_t from = (uint64_t)filled, runs = order.work + 128;
    const uint64_t query[12] = {96, ONLY_WHERE_NOTED, from, from + PAGE, 0, runs, 1, 0,
                                0,  WRITTEN,          0,    WRITTEN};
    memcpy((void *)work, query, sizeof query);
    return ask(order.ask, IOCTL, PAGES, 0xC0606610, order.work, 0, 0) >= 0;
}

/* What the last call had where no memory is, until somebody stores it: vector registers, and the
 * bases of segments, which have less room. */
static uint64_t secret_of(int which) {
    uint64_t secret = ((uint64_t)&order + (uint64_t)which) * 0x9e3779b97f4a7c15UL;
    return which ? secret >> 18 : secret;
}

static void fill_vectors(void) {
    __asm__ volatile("movq %0, %%xmm15\nmovq %0, %%mm3\nwrgsbase %1" ::"r"(secret_of(0)),
                     "r"(secret_of(1)));
}

/* Whether it is in the library OS's memory. */
static void look_for_secrets(void) {
    for (uint64_t at = order.low; at < order.high; at += sizeof at)
        for (int i = 0; i < 3; i++)
            if (*(volatile uint64_t *)at == secret_of(i))
                _exit(6);
}

static void go(uint64_t to, const void *word, uint64_t flags, uint64_t stack) {
    __asm__ volatile(
        "fld1\nfstp %%st(0)\nwrfsbase %[base]\n"
        "mov %[s], %%ecx\nmov %%ecx, %%ds\nmov %%ecx, %%es\n"
        "pushfq\nor %[flags], (%%rsp)\n"
        "mov %[stack], %%r9\nmov %%rsp, %%r8\n"
        "test %%r9, %%r9\ncmovz %%r8, %%r9\n"
        "popfq\nmov %%r9, %%rsp\njmp *%[to]\n" ::[to] "a"(to),
        "D"(word), [flags] "r"(flags), [stack] "d"(stack), [s] "i"(0x2b), [base] "r"(secret_of(2))
        : "rcx", "r8", "r9", "memory");
    __builtin_unreachable();
}

/* The system call itself is the one instruction that runs before the first trap. */
static void go_trapped(uint64_t to, long number, uint64_t a, uint64_t b, uint64_t c) {
    __asm__ volatile("mov %%rsp, %%r8\npushq $0x2b\npushq %%r8\npushq $0x302\npushq $0x33\n"
                     "pushq %[to]\niretq" ::[to] "b"(to),
                     "a"(number), "D"(a), "S"(b), "d"(c)
                     : "r8", "memory");
    __builtin_unreachable();
}

/* No rights to any page with a key, which are all: RDI has the word, and nothing can be read. */
static void go_without_keys(uint64_t to) {
    uint32_t a = 7, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(c & 16)) /* OSPKE */
        _exit(9);
    __asm__ volatile("mov %[to], %%r8\nmov $-1, %%eax\nxor %%ecx, %%ecx\nxor %%edx, %%edx\n"
                     "wrpkru\njmp *%%r8" ::[to] "r"(to),
                     "D"(order.word)
                     : "memory", "rax", "rcx", "rdx", "r8");
}

static void move(uint64_t from, uint64_t to) {
    if (ask(order.place, MREMAP, from, PAGE, PAGE, FIXED, to) != (long)to)
        _exit(7);
}

static void swap(uint64_t one, uint64_t other) {
    move(one, order.free);
    move(other, one);
    move(order.free, other);
}

static void rights(const void *at, uint64_t which) {
    if (ask(order.protect, MPROTECT, (uint64_t)at & -PAGE, PAGE, which, 0, 0))
        _exit(8);
}

/* Rights are as they were again, and what is there is not. */
static void break_seal(char *at) {
    rights(at, READ_WRITE);
    *at = '!';
    rights(at, READ_ONLY);
}

/* To where a number is noted by which it is decided what is looked at: with one of its own, and on
 * a stack of its own. */
static void note(void) {
    register long r10 __asm__("r10") = 0xffffffff;
    __asm__ volatile("mov %[to], %%r8\nmov $7, %%r12d\njmp *%%r8" ::[to] "r"(order.mark - 2),
                     "a"((long)PKEY_MPROTECT), "D"(order.noted), "S"((long)PAGE), "d"(3L), "r"(r10)
                     : "r8", "r12", "memory");
    __builtin_unreachable();
}

/* To where it is noted that all is mapped as it was. */
static void note_nothing(void) {
    __asm__ volatile("mov %[to], %%r8\nxor %%r12d, %%r12d\njmp *%%r8" ::[to] "r"(order.still - 2),
                     "a"((long)FCNTL), "D"((long)PLACES), "S"(2L), "d"(0L)
                     : "r8", "r12", "memory");
    __builtin_unreachable();
}

/* Its own code, behind a call that has the kernel map something otherwise. */
static void mine_at_once(int number) {
    (void)number;
    go(order.begin, order.word, 0, 0);
}

/* No page is written that was not before: one lies elsewhere, and the kernel has had no fault. */
static void change_places(void) {
    *nobody = '!';
    swap((uint64_t)nobody, (uint64_t)nobody + PAGE);
    go(order.begin, order.word, 0, 0);
}

static void come(char how) {
    uint64_t first = (uint64_t)mapped, flags = 0, stack = 0, to = order.begin;
    const void *word = order.word;
    if (how == 'x')
        change_places();
    if (how == 'g')
        note();
    if (how == 'j')
        *(volatile uint64_t *)order.noted = 7;
    if (how == 'v')
        look_for_secrets();
    memset((void *)data, 1, sizeof data);
    memset((void *)work, 1, WORK * PAGE);
    if (how == 'p')
        to = order.behind;
    if (how == 'e')
        to = order.end - 2;
    if (how == 'f')
        word = (void *)16;
    if (how == 't') {
        const struct sigaction own = {.sa_sigaction = mine, .sa_flags = SA_SIGINFO};
        sigaction(SIGTRAP, &own, NULL);
        go_trapped(order.behind - 2, 1, 0, (uint64_t)order.word, 8);
    }
    if (how == 'a')
        flags = 0x40000 | 0x4000 | 0x400; /* AC, NT, DF */
    if (how == 'z')
        stack = 16;
    if (how == 'k')
        go_without_keys(to);
    if (how == 's')
        swap(first, first + PAGE);
    if (how == 'h')
        move(first, order.free);
    if (how == 'r')
        rights((const void *)first, READ_ONLY);
    if (how == 'T') {
        signal(SIGTRAP, mine_at_once);
        go_trapped(order.protect - 2, MPROTECT, first, PAGE, READ_ONLY);
    }
    if (how == 'G') {
        rights((const void *)first, READ_ONLY);
        note_nothing();
    }
    if (how == 'R') {
        rights((const void *)first, READ_ONLY);
        rights((const void *)first, READ_WRITE);
    }
    if (how == 'q')
        rights((const void *)data, READ_ONLY);
    if (how == 'c')
        rights((const void *)strtoul, READ_ONLY); /* code that nothing runs any more */
    if (how == 'n')
        rights(sealed, NOTHING);
    if (how == 'b')
        break_seal(sealed[0]);
    if (how == 'i')
        break_seal(sealed[1]);
    if (how == 'd')
        ask(order.drop, MADVISE, order.kept, PAGE, DROP, 0, 0);
    if (how == 'w')
        *(volatile char *)(order.kept + PAGE) = 1;
    fill_vectors();
    go(to, word, flags, stack);
}

static void say(void) {
    uint64_t flags, sum = 0;
    uint32_t x87[7];
    uint16_t ds, es;
    __asm__ volatile("pushfq\npop %0\nmov %%ds, %1\nmov %%es, %2\nfnstenv %3"
                     : "=r"(flags), "=r"(ds), "=r"(es), "=m"(x87));
    for (int i = 0; i < 64; i++)
        sum += data[i][7];
    for (int i = 0; i < WORK * PAGE; i += 8)
        sum += work[i];
    printf("left %lu flags %lx selectors %x %x x87 %x noted %d %d pages %c %c %c %c\n", (long)sum,
           (long)flags & 0x64700, ds, es, x87[3], noted[0], noted[1], sealed[0][0], sealed[1][0],
           mapped[0], mapped[PAGE]);
    fflush(stdout);
}

/* A guest that is hostile already when it is kept: a page where pages are not looked at, which can
 * be written at any time and only be read whenever somebody looks at its rights. */
static void hide_page(void) {
    move((uint64_t)mapped, order.free);
    if (ask(order.protect, MPROTECT, order.free, PAGE, READ_ONLY, 0, 0))
        _exit(8);
}

/* What is kept and how the kernel is asked, as hypercalls/rewind has them. */
struct mapped {
    uint64_t low, high, rights, page, offset, inode, device;
};
struct query {
    uint64_t size, flags, at;
    struct mapped found;
    uint64_t names[3];
};
struct kept {
    uint64_t nothing[4], takes, kept, stack, back, singly, places, runs;
    struct mapped place[4096];
    uint64_t run[3];
};

/* Says that it is kept by itself, as all is now, with one run to be brought back, up to the end of
 * the page of `low`. */
static void forge(uint64_t low) {
    struct kept *forged = (struct kept *)order.kept;
    struct query *query = (struct query *)work;
    const uint64_t looks[][2] = {{16 | 2, 0}, {16 | 4, 0}, {16, order.arena}};
    uint64_t at = 0, count = 0, look = 0;
    for (;; at = query->found.high) {
        *query = (struct query){.size = sizeof *query, .flags = looks[look][0], .at = at};
        if (ask(order.ask, IOCTL, PLACES, 0xC0686611, order.work, 0, 0) < 0 ||
            (look < 2 && query->found.low >= order.arena)) {
            if (++look == 3)
                break;
            query->found.high = looks[look][1];
            continue;
        }
        struct mapped *last = &forged->place[count ? count - 1 : 0], *found = &query->found;
        if (found->low >= order.kept && found->high <= order.work + WORK * PAGE)
            continue;
        if (count && last->high == found->low && last->rights == found->rights &&
            last->inode == found->inode &&
            (!last->inode || last->offset + (last->high - last->low) == found->offset))
            last->high = found->high;
        else
            forged->place[count++] = *found;
    }
    forged->places = count, forged->runs = 1, forged->kept = 1;
    forged->run[0] = low, forged->run[1] = (low & -PAGE) + PAGE, forged->run[2] = 2;
    go(order.begin, order.word, 0, 0);
}

int main(int argc, char **argv) {
    alarm(0); /* timers, so ticks */
    work = (volatile char *)strtoul(argc > 1 ? argv[1] : "0", NULL, 0);
    mapped = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 4; i++)
        mapped[i * PAGE] = (char)('a' + i);
    mprotect(sealed[0], PAGE, PROT_READ);
    int moment = open("/dev/limpet/snapshot", O_WRONLY);
    write(moment, "x", 1);
    sealed[1][0] = 'T'; /* since the start, and then never again */
    mprotect(sealed[1], PAGE, PROT_READ);
    const int of_nobody = MAP_PRIVATE | MAP_ANONYMOUS;
    nobody = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, of_nobody, -1, 0);
    *nobody = 'n';
    int device = open("/dev/limpet/rewind", O_WRONLY);
    say(); /* so that what it writes is no new page later */
    if (read(0, &order, sizeof order) != sizeof order)
        return 4;
    if (order.word[0] == 'm')
        hide_page();
    if (order.word[0] == 'j')
        *(volatile uint64_t *)order.noted = 7;
    if (order.word[0] == 'u')
        forge(order.work); /* where it is not to be written */
    if (order.word[0] == 'o')
        forge((uint64_t)data);
    if (order.word[0] == 'l')
        forge((uint64_t)data + 8); /* a page that is brought back in pieces */
    if (order.word[0] == 'y')
        forge((uint64_t)strtoul & -PAGE); /* which nobody can write */
    noted[0] = is_noted();
    if (write(device, "keep it", 8) != 8) {
        perror("not kept");
        return 3;
    }
    noted[1] = is_noted();
    memset((void *)work, 0, PAGE);
    say();
    if (read(0, &order, sizeof order) != sizeof order)
        return 4;
    if (order.word[0] == '?') {
        printf("nobody %d %d\n", nobody[0], nobody[PAGE]);
        fflush(stdout);
    }
    if (order.word[0] != '.' && order.word[0] != '?')
        come(order.word[0]);
    write(device, order.word, 8);
    puts("it went on");
    return 5;
}
