/* Says what mappings do: what is in memory and in files, and the error of each argument. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS };

#define SAY(call)                                                                                  \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long said = (long)(call);                                                                  \
        printf("%d %s: %s %d\n", __LINE__, #call, said == -1 ? "fails" : "works", errno);          \
    } while (0)

static int file_of(const char *name, size_t size) {
    int file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    char bytes[256];
    for (size_t at = 0; at < size; at += sizeof bytes) {
        memset(bytes, 'a' + (char)(at / sizeof bytes % 26), sizeof bytes);
        if (write(file, bytes, sizeof bytes) != sizeof bytes)
            _exit(9);
    }
    return file;
}

/* One character for each quarter page. */
static void show(const char *what, const char *bytes, size_t size) {
    printf("%s:", what);
    for (size_t at = 0; at < size; at += 1024)
        printf(" %d", bytes[at]);
    printf("\n");
}

static void show_file(const char *what, int file) {
    static char bytes[16 * PAGE];
    ssize_t size = pread(file, bytes, sizeof bytes, 0);
    printf("%zd ", size);
    show(what, bytes, size > 0 ? (size_t)size : 0);
}

static void shared(const char *name) {
    int file = file_of(name, 4 * PAGE);
    char *map = mmap(0, 4 * PAGE, PROT_READ, MAP_SHARED, file, 0);
    show("fresh", map, 4 * PAGE);
    pwrite(file, "XY", 2, 1024);
    show("after a write", map, 4 * PAGE);
    char *again = mmap(0, 2 * PAGE, RW, MAP_SHARED, file, PAGE);
    again[0] = 'Q';
    show("through another", map, 4 * PAGE);
    show_file("read", file);
    ftruncate(file, PAGE + 100);
    again[2000] = 7; /* behind the end: no part of the file */
    printf("%d %d\n", again[0], again[1024]);
    ftruncate(file, 3 * PAGE);
    show("shrunk and grown", map, 3 * PAGE);
    again[PAGE] = 'Z';
    SAY(msync(again, 2 * PAGE, MS_SYNC));
    SAY(munmap(again, PAGE));
    again[PAGE] = 'W';
    munmap(map, 4 * PAGE);
    SAY(munmap(again + PAGE, PAGE));
    show_file("without mappings", file);
    map = mmap(0, 3 * PAGE, RW, MAP_SHARED, file, 0);
    show("mapped anew", map, 3 * PAGE);
    close(file);
    unlink(name);
    map[0] = 'u';
    show("closed and unlinked", map, 3 * PAGE);
    SAY(munmap(map, 3 * PAGE));
}

/* Regions of a file that grows, one mapping each, as SQLite's -shm. */
static void regions(const char *name) {
    int file = file_of(name, 0), other = open(name, O_RDWR);
    char *map[3];
    for (int i = 0; i < 3; i++) {
        ftruncate(file, (i + 1) * 8 * PAGE);
        map[i] = mmap(0, 8 * PAGE, RW, MAP_SHARED, file, i * 8 * PAGE);
        memset(map[i], 'A' + i, 5 * PAGE);
        pwrite(other, "o", 1, (i * 8 + 6) * PAGE);
        show("region", map[i], 8 * PAGE);
    }
    show_file("regions", other);
    for (int i = 0; i < 3; i++)
        munmap(map[i], 8 * PAGE);
    show_file("regions unmapped", file);
    close(file), close(other);
}

static void packed(const char *name) {
    int file = open(name, O_RDWR);
    char *map = mmap(0, 3 * PAGE, PROT_READ, MAP_SHARED, file, 0);
    show("packed", map, 3 * PAGE);
    pwrite(file, "!", 1, 2 * PAGE);
    show("packed, written", map, 3 * PAGE);
    munmap(map, 3 * PAGE);
    map = mmap(0, 2 * PAGE, RW, MAP_SHARED, file, PAGE);
    map[0] = '?';
    munmap(map, 2 * PAGE);
    show_file("packed, mapped", file);
    close(file);
}

static void dont_need(const char *name) {
    int file = file_of(name, 4 * PAGE);
    char *map = mmap(0, 4 * PAGE, RW, MAP_PRIVATE, file, 0);
    memset(map, 1, 3 * PAGE);
    SAY(madvise(map + PAGE, PAGE, MADV_DONTNEED));
    show("private file", map, 4 * PAGE);
    show_file("untouched", file);
    munmap(map, 4 * PAGE);
    map = mmap(0, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(map, 2, 2 * PAGE);
    SAY(madvise(map, PAGE, MADV_DONTNEED));
    show("shared anonymous", map, 2 * PAGE);
    SAY(madvise(map, PAGE, MADV_FREE));
    SAY(madvise(map, PAGE, MADV_REMOVE));
    show("removed", map, 2 * PAGE);
    munmap(map, 2 * PAGE);
    map = mmap(0, 2 * PAGE, RW, PRIVATE, -1, 0);
    memset(map, 3, 2 * PAGE);
    SAY(madvise(map, PAGE, MADV_DONTNEED));
    show("private", map, 2 * PAGE);
    SAY(madvise(map, PAGE, MADV_REMOVE));
    SAY(madvise(map, PAGE, MADV_FREE));
    munmap(map + PAGE, PAGE);
    SAY(madvise(map, 2 * PAGE, MADV_DONTNEED));
    SAY(madvise(map + 1, PAGE, MADV_DONTNEED));
    SAY(madvise(map, PAGE, 77));
    SAY(madvise(map, PAGE, 5));
    SAY(madvise(map, PAGE, -1));
    SAY(madvise(map, 0, MADV_DONTNEED));
    SAY(madvise(map, 1, MADV_WILLNEED));
    SAY(madvise(map, (size_t)-1, MADV_DONTNEED));
    SAY(madvise(map, (size_t)-PAGE, MADV_DONTNEED));
    munmap(map, PAGE);
    SAY(madvise(map, PAGE, MADV_NORMAL));
    map = mmap(0, PAGE, PROT_READ, MAP_SHARED, file, 0);
    SAY(madvise(map, PAGE, MADV_DONTNEED));
    SAY(madvise(map, PAGE, MADV_FREE));
    show("shared file", map, PAGE);
    munmap(map, PAGE);
    close(file);
}

static void remap(const char *name) {
    int file = file_of(name, 6 * PAGE);
    char *map = mmap(0, 2 * PAGE, RW, MAP_PRIVATE, file, PAGE);
    map[0] = 9;
    map = mremap(map, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE);
    show("private, grown", map, 4 * PAGE);
    munmap(map, 4 * PAGE);
    map = mmap(0, PAGE, RW, MAP_SHARED, file, PAGE);
    map = mremap(map, PAGE, 4 * PAGE, MREMAP_MAYMOVE);
    show("shared, grown", map, 4 * PAGE);
    map[3 * PAGE] = 8;
    show_file("through it", file);
    map = mremap(map, 4 * PAGE, 2 * PAGE, 0);
    map[PAGE] = 4;
    show("shrunk", map, 2 * PAGE);
    char *there = mmap(0, 2 * PAGE, RW, PRIVATE, -1, 0);
    char *moved = mremap(map, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, there);
    printf("%d\n", moved == there);
    show("moved", moved, 2 * PAGE);
    moved[0] = 5;
    show_file("after all", file);
    munmap(moved, 2 * PAGE);
    close(file);

    map = mmap(0, 8 * PAGE, RW, PRIVATE, -1, 0);
    memset(map, 1, 8 * PAGE);
    munmap(map + 4 * PAGE, PAGE);
    SAY(mremap(map, 5 * PAGE, 9 * PAGE, MREMAP_MAYMOVE));
    SAY(mremap(map, 4 * PAGE, 8 * PAGE, 0));
    SAY(mremap(map + 4 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
    SAY(mremap(map, PAGE, 0, MREMAP_MAYMOVE));
    SAY(mremap(map + 1, PAGE, PAGE, MREMAP_MAYMOVE));
    SAY(mremap(map, PAGE, PAGE, 64));
    SAY(mremap(map, PAGE, PAGE, MREMAP_FIXED, map + PAGE));
    SAY(mremap(map, 2 * PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, map + PAGE));
    SAY(mremap(map, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, map + PAGE + 1));
    SAY(mremap(map, 0, PAGE, MREMAP_MAYMOVE));
    SAY(mremap(map, PAGE, (size_t)-PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, there));
    show("what is left", map, 4 * PAGE);
    munmap(map, 8 * PAGE);
}

static void arguments(const char *name) {
    int file = file_of(name, 4 * PAGE), reader = open(name, O_RDONLY),
        writer = open(name, O_WRONLY);
    int path = open(name, O_PATH), folder = open("/", O_RDONLY), pipes[2];
    int zero = open("/dev/zero", O_RDWR), null = open("/dev/null", O_RDWR);
    if (pipe(pipes))
        return;
    SAY(mmap(0, PAGE, RW, MAP_PRIVATE | MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    SAY(mmap(0, PAGE, RW, MAP_ANONYMOUS, -1, 0));
    SAY(mmap(0, PAGE, RW, 0, file, 0));
    SAY(mmap(0, PAGE, RW, 4, file, 0));
    SAY(mmap(0, PAGE, PROT_READ, MAP_SHARED_VALIDATE, file, 0));
    SAY(mmap(0, PAGE, PROT_READ, MAP_SHARED_VALIDATE | 0x800000, file, 0));
    SAY(mmap(0, 0, RW, PRIVATE, -1, 0));
    SAY(mmap(0, 0, RW, MAP_PRIVATE, 99, 0));
    SAY(mmap(0, PAGE, RW, MAP_PRIVATE, 99, 0));
    SAY(syscall(SYS_mmap, 0L, (long)PAGE, (long)RW, (long)MAP_PRIVATE, 99L, 1L));
    SAY(mmap(0, (size_t)-1, RW, PRIVATE, -1, 0));
    SAY(mmap(0, (size_t)1 << 47, RW, PRIVATE, -1, 0));
    SAY(mmap((void *)(-1L << 12), PAGE, RW, PRIVATE | MAP_FIXED, -1, 0));
    SAY(mmap((void *)1, PAGE, RW, PRIVATE | MAP_FIXED, -1, 0));
    SAY(mmap((void *)1, PAGE, RW, PRIVATE, -1, 0));
    for (int bit = 44; bit < 64; bit += 19)
        SAY(syscall(SYS_mmap, 0L, 2L * PAGE, (long)PROT_READ, (long)MAP_PRIVATE, (long)file,
                    (1UL << bit) - (bit > 62 ? PAGE : 0)));
    SAY(syscall(SYS_mmap, 0L, 2L * PAGE, (long)PROT_READ, (long)MAP_PRIVATE, (long)file,
                1UL << 63));
    SAY(syscall(SYS_mmap, 0L, 2L * PAGE, (long)PROT_READ, 0L, (long)file, -(long)PAGE));
    SAY(mmap(0, PAGE, RW, MAP_SHARED, reader, 0));
    SAY(mmap(0, PAGE, RW, MAP_PRIVATE, reader, 0));
    SAY(mmap(0, PAGE, PROT_READ, MAP_PRIVATE, writer, 0));
    SAY(mmap(0, PAGE, PROT_READ, MAP_SHARED, writer, 0));
    SAY(mmap(0, PAGE, PROT_READ, MAP_PRIVATE, path, 0));
    SAY(mmap(0, PAGE, PROT_READ, MAP_PRIVATE, folder, 0));
    SAY(mmap(0, PAGE, PROT_READ, MAP_PRIVATE, pipes[0], 0));
    SAY(mmap(0, PAGE, PROT_READ, MAP_PRIVATE, null, 0));
    char *map = mmap(0, PAGE, RW, MAP_SHARED, zero, 0);
    printf("%d\n", map != MAP_FAILED && !map[0] && (map[0] = 1));
    close(file_of("sole", 4 * PAGE)); /* mapped nowhere else: it has one address here */
    map = mmap(0, 4 * PAGE, PROT_READ, MAP_SHARED, open("sole", O_RDONLY), 0);
    SAY(mprotect(map, PAGE, RW));
    SAY(mprotect(map, 2 * PAGE, PROT_NONE));
    SAY(mprotect(map, (size_t)-PAGE, PROT_READ));
    SAY(mprotect(map, (size_t)-1, PROT_READ));
    SAY(mprotect(map, (size_t)1 << 40, PROT_READ));
    SAY(mprotect(map + 1, PAGE, PROT_READ));
    SAY(mprotect(map, 0, PROT_READ));
    SAY(mprotect(map, 0, 0x1000));
    SAY(mprotect(map, PAGE, 0x1000));
    SAY(mprotect(map, PAGE, PROT_GROWSDOWN | PROT_GROWSUP | PROT_READ));
    SAY(mprotect(map, PAGE, PROT_GROWSDOWN | PROT_READ));
    SAY(munmap(map + PAGE, PAGE));
    SAY(mprotect(map, 3 * PAGE, PROT_READ));
    SAY(mprotect(map + PAGE, PAGE, PROT_READ));
    SAY(msync(map, PAGE, 0));
    SAY(msync(map, PAGE, MS_ASYNC | MS_SYNC));
    SAY(msync(map, PAGE, 8));
    SAY(msync(map + 1, PAGE, MS_SYNC));
    SAY(msync(map, 0, MS_SYNC));
    SAY(msync(map, 3 * PAGE, MS_SYNC));
    SAY(msync(map + PAGE, PAGE, MS_ASYNC));
    SAY(msync(map + PAGE, PAGE, 0));
    SAY(msync(map, (size_t)-PAGE, MS_SYNC));
    unsigned char resident[8];
    SAY(mincore(map, PAGE, resident));
    SAY(mincore(map, 2 * PAGE, resident));
    SAY(mincore(map + 1, PAGE, resident));
    SAY(mincore(map, PAGE, (void *)8));
    SAY(mincore(map, (size_t)1 << 62, resident));
    SAY(mlock(map, 1));
    SAY(mlock(map, 3 * PAGE));
    SAY(mlock(map, (size_t)-PAGE));
    SAY(munlock(map + 5, 1));
    SAY(munlock(map + PAGE, 1));
    SAY(syscall(SYS_mlock2, map, PAGE, 2));
    SAY(mlockall(0));
    SAY(mlockall(8));
    SAY(mlockall(4));
    SAY(munmap(map, 0));
    SAY(munmap(map + 1, PAGE));
    SAY(munmap(map, (size_t)-1));
    SAY(munmap(map, (size_t)-PAGE));
    SAY(munmap((void *)(-1L << 12), PAGE));
    SAY(munmap(map, 1));
    SAY(munmap(map, PAGE));
    SAY(mmap(map + 2 * PAGE, PAGE, RW, PRIVATE | MAP_FIXED_NOREPLACE, -1, 0));
    SAY(mmap(map + 2 * PAGE + 1, PAGE, RW, PRIVATE | MAP_FIXED_NOREPLACE, -1, 0));
    SAY(mmap(map + 2 * PAGE, PAGE, RW, PRIVATE | MAP_FIXED, -1, 0));
    file = file_of("fixed", 2 * PAGE);
    SAY(mmap(map + 2 * PAGE, 2 * PAGE, RW, MAP_SHARED | MAP_FIXED, file, 0));
    show("fixed", map + 2 * PAGE, 2 * PAGE);
    SAY(mmap(map + 2 * PAGE, PAGE, RW, PRIVATE | MAP_FIXED, -1, 0));
    show("half replaced", map + 2 * PAGE, 2 * PAGE);
    show_file("which is the memory's", file);
}

static void without_a_name(void) {
    int file = memfd_create("m", 0);
    ftruncate(file, 2 * PAGE);
    char *map = mmap(0, 2 * PAGE, RW, MAP_SHARED, file, 0);
    map[PAGE] = 'm';
    show_file("memfd", file);
    pwrite(file, "p", 1, 0);
    show("memfd", map, 2 * PAGE);
    int shm = open("/dev/shm/limpet-test", O_RDWR | O_CREAT | O_EXCL, 0600);
    ftruncate(shm, PAGE);
    map = mmap(0, PAGE, RW, MAP_SHARED, shm, 0);
    int other = open("/dev/shm/limpet-test", O_RDWR);
    unlink("/dev/shm/limpet-test");
    map[1024] = 's';
    show_file("shm", other);
}

int main(int count, char **argument) {
    if (count != 3 || chdir(argument[1]))
        return 1;
    shared("shared");
    regions("regions");
    packed(argument[2]);
    dont_need("dont_need");
    remap("remap");
    arguments("arguments");
    without_a_name();
    return 0;
}
