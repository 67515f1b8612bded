/* Says what memory does, a case for each sentence: its name, then what was seen. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS };

static sigjmp_buf back;
static siginfo_t seen;
static volatile int touching;

static void caught(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    if (!touching)
        _exit(3);
    seen = *info;
    siglongjmp(back, 1);
}

static void said(long result) {
    if (result < 0 && result > -PAGE)
        printf(" error %d", errno);
    else
        printf(" ok");
}

#define SAY(call) (errno = 0, said((long)(call)))

/* What is read there, and whether it can be written. */
static void touch(char *at, int writes) {
    volatile char *byte = at;
    touching = 1;
    if (sigsetjmp(back, 1)) {
        const char *where = seen.si_addr == (void *)at ? "" : " elsewhere";
        touching = 0;
        printf(" [signal %d code %d%s]", seen.si_signo, seen.si_code, where);
        return;
    }
    printf(" %d", *byte);
    if (writes)
        *byte = *byte;
    touching = 0;
}

static void show(const char *what, char *map, int pages) {
    printf("\n%s:", what);
    for (int page = 0; page < pages; page++)
        for (int at = 0; at < PAGE; at += 1365)
            touch(map + page * PAGE + at, 0);
}

static void fill(int file, char with, size_t size) {
    static char bytes[8 * PAGE];
    memset(bytes, with, sizeof bytes);
    if (pwrite(file, bytes, size, 0) != (ssize_t)size)
        _exit(9);
}

static int file_of(size_t size) {
    unlink("file"); /* another one: a page of a file has one address in a guest */
    int file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    fill(file, 'x', size);
    return file;
}

static void a_shared_mapping_to_read_sees_writes(void) {
    int file = file_of(2 * PAGE);
    char *map = mmap(0, 2 * PAGE, PROT_READ, MAP_SHARED, file, 0);
    fill(file, 'y', PAGE + 100);
    show("written", map, 2);
    ftruncate(file, 50);
    ftruncate(file, 2 * PAGE);
    show("cut and longer", map, 2);
    int again = open("file", O_WRONLY | O_TRUNC);
    fill(again, 'z', PAGE);
    show("overwritten", map, 1);
    touch(map, 1);
    char *anonymous = mmap(0, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    touch(anonymous, 1);
    close(file), close(again);
}

static void dontneed_brings_a_private_page_of_a_file_back(void) {
    int file = file_of(2 * PAGE);
    char *map = mmap(0, 2 * PAGE, RW, MAP_PRIVATE, file, 0);
    memset(map, 1, 2 * PAGE);
    SAY(madvise(map, PAGE, MADV_DONTNEED));
    show("first page", map, 2);
    close(file);
}

static void dontneed_keeps_shared_anonymous_pages(void) {
    char *map = mmap(0, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(map, 2, 2 * PAGE);
    SAY(madvise(map, PAGE, MADV_DONTNEED));
    show("all", map, 2);
}

static void dontneed_zeroes_private_anonymous_pages(void) {
    char *map = mmap(0, 2 * PAGE, RW, ANONYMOUS, -1, 0);
    memset(map, 3, 2 * PAGE);
    SAY(madvise(map, PAGE, MADV_DONTNEED));
    show("first page", map, 2);
}

static void a_file_mapping_that_grows_shows_the_file(void) {
    int file = file_of(3 * PAGE);
    for (int kind = MAP_SHARED; kind <= MAP_PRIVATE; kind++) {
        char *map = mmap(0, PAGE, RW, kind, file, PAGE);
        map = mremap(map, PAGE, 3 * PAGE, MREMAP_MAYMOVE);
        show("grown", map, 3);
        munmap(map, 3 * PAGE);
    }
    close(file);
}

static void private_and_shared_together_is_an_error(void) {
    SAY(mmap(0, PAGE, RW, MAP_PRIVATE | MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    SAY(mmap(0, PAGE, RW, MAP_ANONYMOUS, -1, 0));
}

static void offsets_near_the_last_overflow(void) {
    int file = file_of(PAGE);
    for (int bit = 43; bit < 64; bit += 4)
        SAY(syscall(SYS_mmap, 0L, 2L * PAGE, (long)PROT_READ, (long)MAP_SHARED, (long)file,
                    1UL << bit));
    SAY(syscall(SYS_mmap, 0L, 2L * PAGE, (long)PROT_READ, (long)MAP_PRIVATE, (long)file,
                (1UL << 63) - PAGE));
    SAY(syscall(SYS_mmap, 0L, (long)PAGE, (long)PROT_READ, (long)MAP_PRIVATE, (long)file,
                -(long)PAGE));
    SAY(syscall(SYS_mmap, 0L, (long)PAGE, (long)PROT_READ, (long)MAP_PRIVATE, (long)file,
                1UL << 63 | 1));
    close(file);
}

static void huge_lengths_are_refused(void) {
    static const size_t lengths[] = {1UL << 47,   1UL << 62,   1UL << 63,
                                     -2UL * PAGE, -1UL * PAGE, -1UL};
    char *map = mmap(0, 3 * PAGE, RW, ANONYMOUS, -1, 0), resident[8];
    munmap(map + PAGE, 2 * PAGE); /* what is behind it stays as it is */
    for (int i = 0; i < 6; i++) {
        SAY(mmap(0, lengths[i], RW, ANONYMOUS, -1, 0));
        SAY(mprotect(map, lengths[i], PROT_READ));
        SAY(munmap(map, lengths[i] | 1UL << 63));
        SAY(madvise(map, lengths[i], MADV_NORMAL));
        SAY(mincore(map, lengths[i], (void *)resident));
        SAY(msync(map, lengths[i], MS_SYNC));
        SAY(mlock(map, lengths[i] | 1UL << 63));
        SAY(mprotect(map, PAGE, RW));
        printf(";");
    }
}

static void msync_needs_no_flags(void) {
    char *map = mmap(0, 2 * PAGE, RW, ANONYMOUS, -1, 0);
    SAY(msync(map, PAGE, 0));
    SAY(msync(map, PAGE, MS_ASYNC | MS_SYNC));
    SAY(msync(map, PAGE, 8));
    SAY(msync(map + 1, PAGE, MS_SYNC));
}

static void msync_needs_a_mapping(void) {
    char *map = mmap(0, 2 * PAGE, RW, ANONYMOUS, -1, 0);
    munmap(map + PAGE, PAGE);
    SAY(msync(map, 2 * PAGE, MS_ASYNC));
    SAY(msync(map + PAGE, PAGE, 0));
    SAY(msync(map + PAGE, 0, MS_SYNC));
}

static void noreplace_keeps_what_is_there(void) {
    char *map = mmap(0, 3 * PAGE, RW, ANONYMOUS, -1, 0);
    memset(map, 4, 3 * PAGE);
    munmap(map + PAGE, PAGE);
    SAY(mmap(map, PAGE, RW, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    SAY(mmap(map + PAGE, 2 * PAGE, RW, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    SAY(mmap(map + PAGE, PAGE, RW, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    show("filled", map, 3);
}

static void mremap_moves_only_if_it_may(void) {
    char *map = mmap(0, 4 * PAGE, RW, ANONYMOUS, -1, 0);
    memset(map, 5, 4 * PAGE);
    SAY(mremap(map, PAGE, 2 * PAGE, 0));
    char *moved = mremap(map, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
    printf(" %d", moved != map);
    show("moved", moved, 2);
    show("left", map, 2);
}

static void mremap_goes_to_a_fixed_place(void) {
    char *map = mmap(0, 2 * PAGE, RW, ANONYMOUS, -1, 0);
    char *there = mmap(0, 4 * PAGE, RW, ANONYMOUS, -1, 0);
    memset(map, 6, 2 * PAGE), memset(there, 7, 4 * PAGE);
    SAY(mremap(map, 2 * PAGE, 2 * PAGE, MREMAP_FIXED, there));
    SAY(mremap(map, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, there + 1));
    SAY(mremap(map, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, map + PAGE));
    SAY(mremap(map, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, there));
    show("there", there, 4);
    show("left", map, 2);
}

static void mremap_can_leave_the_old_place_mapped(void) {
    char *map = mmap(0, 2 * PAGE, RW, ANONYMOUS, -1, 0);
    memset(map, 8, 2 * PAGE);
    SAY(mremap(map, 2 * PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
    char *moved = mremap(map, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
    show("moved", moved, 2);
    show("left", map, 2);
}

static void mincore_knows_what_is_mapped(void) {
    unsigned char resident[4] = {0};
    char *map = mmap(0, 4 * PAGE, RW, ANONYMOUS, -1, 0);
    memset(map, 1, 4 * PAGE);
    SAY(mincore(map, 4 * PAGE, resident));
    printf(" %d %d", resident[0] & 1, resident[3] & 1);
    munmap(map + PAGE, PAGE);
    SAY(mincore(map, 2 * PAGE, resident));
    SAY(mincore(map + 1, PAGE, resident));
    SAY(mincore(map, 0, resident));
    SAY(mincore(map, PAGE, (void *)8));
}

/* But for those whose answer is another on each host: merging, large pages and poison. */
static void every_advice_is_answered(void) {
    int file = file_of(PAGE);
    char *maps[] = {mmap(0, PAGE, RW, ANONYMOUS, -1, 0), mmap(0, PAGE, RW, MAP_PRIVATE, file, 0),
                    mmap(0, PAGE, RW, MAP_SHARED, file, 0),
                    mmap(0, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0)};
    for (int advice = -1; advice < 25; advice++)
        for (int i = 0; i < 4 && (advice < 12 || advice > 15); i++)
            SAY(madvise(maps[i], PAGE, advice));
    SAY(madvise(maps[0], PAGE, 77));
    SAY(madvise(maps[0] + 1, PAGE, MADV_NORMAL));
    SAY(madvise(maps[0], 0, MADV_DONTNEED));
    munmap(maps[0], PAGE);
    SAY(madvise(maps[0], PAGE, MADV_NORMAL));
    close(file);
}

static void what_is_unmapped_faults(void) {
    char *map = mmap(0, 4 * PAGE, RW, ANONYMOUS, -1, 0);
    memset(map, 9, 4 * PAGE);
    munmap(map + PAGE, 2 * PAGE);
    show("a hole", map, 4);
    printf(" %zd", write(1, map + PAGE, 1));
    char *again = mmap(map + PAGE, PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0);
    show("mapped again", again, 2);
    char *heap = sbrk(8 * PAGE);
    memset(heap, 1, 8 * PAGE);
    sbrk(-8 * PAGE);
    show("heap that was given back", heap + 2 * PAGE, 2);
}

static void of_each_kind(int size, void (*see)(int file, char *map)) {
    for (int kind = MAP_SHARED; kind <= MAP_PRIVATE; kind++)
        for (int rights = PROT_READ; rights <= RW; rights += PROT_WRITE) {
            int file = file_of((size_t)size);
            char *map = mmap(0, 4 * PAGE, rights, kind, file, 0);
            see(file, map);
            munmap(map, 4 * PAGE);
            close(file);
        }
}

static void see_ends(int file, char *map) {
    show("fresh", map, 4);
    ftruncate(file, 2 * PAGE + 10);
    show("longer", map, 4);
    pwrite(file, "abc", 3, 3 * PAGE);
    show("written", map, 4);
}

static void see_cuts(int file, char *map) {
    ftruncate(file, PAGE + 50);
    show("cut", map, 4);
    ftruncate(file, 0);
    show("empty", map, 4);
    printf(" %zd %d", write(1, map, 1), errno);
    SAY(mprotect(map, 4 * PAGE, PROT_READ));
    SAY(madvise(map, 4 * PAGE, MADV_DONTNEED));
    show("read-only", map, 4);
    ftruncate(file, PAGE);
    show("one page", map, 2);
}

static void a_file_ends_in_its_mapping(void) {
    of_each_kind(PAGE + 100, see_ends);
}

static void a_file_that_is_cut_ends_in_its_mapping(void) {
    of_each_kind(3 * PAGE, see_cuts);
}

static void a_mapping_behind_the_end_moves(void) {
    int file = file_of(PAGE + 1);
    for (int kind = MAP_SHARED; kind <= MAP_PRIVATE; kind++) {
        char *map = mmap(0, 2 * PAGE, RW, kind, file, PAGE);
        map = mremap(map, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE);
        show("moved", map, 4);
        munmap(map, 4 * PAGE);
    }
    close(file);
}

#define CASE(name) {#name, name}
static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {CASE(a_shared_mapping_to_read_sees_writes),
             CASE(dontneed_brings_a_private_page_of_a_file_back),
             CASE(dontneed_keeps_shared_anonymous_pages),
             CASE(dontneed_zeroes_private_anonymous_pages),
             CASE(a_file_mapping_that_grows_shows_the_file),
             CASE(private_and_shared_together_is_an_error),
             CASE(offsets_near_the_last_overflow),
             CASE(huge_lengths_are_refused),
             CASE(msync_needs_no_flags),
             CASE(msync_needs_a_mapping),
             CASE(noreplace_keeps_what_is_there),
             CASE(mremap_moves_only_if_it_may),
             CASE(mremap_goes_to_a_fixed_place),
             CASE(mremap_can_leave_the_old_place_mapped),
             CASE(mincore_knows_what_is_mapped),
             CASE(every_advice_is_answered),
             CASE(what_is_unmapped_faults),
             CASE(a_file_ends_in_its_mapping),
             CASE(a_file_that_is_cut_ends_in_its_mapping),
             CASE(a_mapping_behind_the_end_moves)};

int main(int count, char **argument) {
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO};
    if (count != 2 || chdir(argument[1]))
        return 1;
    sigaction(SIGSEGV, &action, 0);
    sigaction(SIGBUS, &action, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        printf("case %s", cases[i].name);
        cases[i].run();
        printf("\n");
    }
    unlink("file");
    return 0;
}
