/*
 * Block devices and TAP interfaces, used as any Linux program does; runs natively on a loop
 * device and a real interface too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void show(const char *what, long result) {
    if (result < 0)
        printf("%s: %s\n", what, strerror(errno));
    else
        printf("%s: %ld\n", what, result);
}

/* What a disk is and how it ends; its content is left as it was, but for the last sector. */
static int edges(const char *path) {
    static char bytes[8192];
    uint64_t size = 0;
    int fd = open(path, O_RDWR), sector = 0, value = 0;
    struct stat stat;
    show("fstat", fstat(fd, &stat));
    ioctl(fd, BLKGETSIZE64, &size);
    show("sector", ioctl(fd, BLKSSZGET, &sector));
    show("read-only", ioctl(fd, BLKROGET, &value));
    printf("block %d size %ld capacity %ld sector %d ro %d\n", S_ISBLK(stat.st_mode),
           (long)stat.st_size, (long)size, sector, value);
    show("seek end", lseek(fd, 0, SEEK_END) == (long)size);
    show("read at end", read(fd, bytes, 100));
    show("write at end", write(fd, bytes, 100));
    show("seek beyond", lseek(fd, 1, SEEK_END));
    show("seek before", lseek(fd, -1, SEEK_SET));
    show("read over end", pread(fd, bytes, 4096, (long)size - 1000));
    memset(bytes, 'e', sizeof bytes);
    show("write over end", pwrite(fd, bytes, 4096, (long)size - 300));
    memset(bytes, 0, sizeof bytes);
    show("read it", pread(fd, bytes, 4096, (long)size - 301));
    printf("%d %d %d\n", bytes[0], bytes[1], bytes[300]);
    show("read beyond", pread(fd, bytes, 10, (long)size + 10));
    show("write beyond", pwrite(fd, bytes, 10, (long)size + 10));
    show("write nothing", pwrite(fd, bytes, 0, (long)size + 10));
    show("negative", pread(fd, bytes, 10, -1));
    show("truncate", ftruncate(fd, 10));
    show("fsync", fsync(fd));
    show("fdatasync", fdatasync(fd));
    show("bad address", write(fd, (void *)8, 100));
    show("close", close(fd));
    fd = open(path, O_RDONLY);
    show("write to O_RDONLY", write(fd, bytes, 10));
    fd = open(path, O_RDWR | O_DIRECT);
    char *aligned = aligned_alloc(4096, 8192);
    show("direct", pread(fd, aligned, 4096, 4096));
    show("direct, offset", pread(fd, aligned, 4096, 100));
    show("direct, size", pread(fd, aligned, 100, 0));
    show("exclusive", open(path, O_RDWR | O_CREAT | O_EXCL, 0600));
    show("directory", open(path, O_RDONLY | O_DIRECTORY));
    return 0;
}

static uint32_t state = 7;

static uint32_t number(uint32_t below) {
    state = state * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)state * below >> 32);
}

/* Writes of many sizes anywhere, against the same in memory. */
static int scatter(const char *path, const char *turns) {
    int fd = open(path, O_RDWR);
    uint64_t size = 0;
    if (ioctl(fd, BLKGETSIZE64, &size) < 0)
        return 2;
    char *model = malloc(size), *bytes = malloc(300000), *got = malloc(size);
    if (pread(fd, model, size, 0) != (long)size)
        return 3;
    for (int turn = 0; turn < atoi(turns); turn++) {
        long at = number((uint32_t)size), length = number(turn % 10 ? 5000 : 300000);
        if (turn % 3 == 0)
            at = (long)size - number(70000 < size ? 70000 : (uint32_t)size);
        for (long i = 0; i < length; i++)
            bytes[i] = (char)number(256);
        long expected = at + length > (long)size ? (long)size - at : length;
        long done = pwrite(fd, bytes, (size_t)length, at);
        if (done != expected && length) {
            printf("turn %d: %ld of %ld at %ld: %ld\n", turn, done, length, at, expected);
            return 4;
        }
        memcpy(model + at, bytes, (size_t)(done > 0 ? done : 0));
        if (pread(fd, got, (size_t)length, at) != expected || memcmp(got, model + at, expected))
            return 5;
    }
    if (pread(fd, got, size, 0) != (long)size || memcmp(got, model, size) || fsync(fd))
        return 6;
    puts("same");
    return 0;
}

/* Write in order until it fails; says after how much, and why. */
static int fill(const char *path, const char *flags) {
    static char bytes[65536];
    int fd = open(path, O_RDWR | (*flags == 's' ? O_SYNC : 0));
    long total = 0, done;
    if (fd < 0)
        return printf("open: %s\n", strerror(errno)), 1;
    memset(bytes, 'f', sizeof bytes);
    while ((done = write(fd, bytes, sizeof bytes)) > 0)
        total += done;
    int why = errno;
    printf("%ld: %s\n", total, done ? strerror(why) : "end");
    show("fsync", fsync(fd));
    return 0;
}

/* Sector after sector with its number, each made durable before it is told. */
static int journal(const char *path) {
    static uint32_t sector[128];
    int fd = open(path, O_RDWR);
    for (uint32_t i = 0;; i++) {
        for (int word = 0; word < 128; word++)
            sector[word] = i + 1;
        if (pwrite(fd, sector, 512, (long)(i % 2048) * 512) != 512 || fdatasync(fd))
            return 1;
        printf("%u\n", i + 1);
        fflush(stdout);
    }
}

/* Touch memory until there is none. */
static int hog(void) {
    for (;;) {
        volatile char *more = malloc(1 << 20);
        if (!more)
            return printf("none left\n"), 0;
        for (int at = 0; at < 1 << 20; at += 4096)
            more[at] = 1;
    }
}

static int open_tap(const char *name, int flags) {
    struct ifreq request = {0};
    int fd = open("/dev/net/tun", O_RDWR | flags);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
        return -1;
    return fd;
}

/* Every frame goes back from our address, until one says "stop". */
static int echo(const char *name, const char *how) {
    static unsigned char frame[65536];
    struct ifreq hardware = {0};
    int waits = *how == 'p', fd = open_tap(name, waits ? O_NONBLOCK : 0);
    if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &hardware) < 0)
        return printf("%s: %s\n", name, strerror(errno)), 1;
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct pollfd wait = {fd, POLLIN, 0};
        if (waits && poll(&wait, 1, 5000) != 1)
            return 2;
        long size = read(fd, frame, sizeof frame);
        if (size < 0 && errno == EAGAIN)
            continue;
        if (size < 0)
            return printf("gone: %s\n", strerror(errno)), 0;
        memcpy(frame, frame + 6, 6);
        memcpy(frame + 6, hardware.ifr_hwaddr.sa_data, 6);
        if (write(fd, frame, (size_t)size) != size)
            printf("not sent: %s\n", strerror(errno));
        if (!memcmp(frame + 14, "stop", 4))
            return puts("stopped"), 0;
    }
}

static int tap_edges(const char *name) {
    static char frame[65536];
    unsigned features = 0;
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    struct ifreq request = {0};
    show("read without interface", read(fd, frame, 100));
    show("write without interface", write(fd, frame, 100));
    show("TUNGETIFF", ioctl(fd, TUNGETIFF, &request));
    show("features", ioctl(fd, TUNGETFEATURES, &features));
    printf("tap %d\n", (features & IFF_TAP) != 0);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    show("TUNSETIFF", ioctl(fd, TUNSETIFF, &request));
    show("again", ioctl(fd, TUNSETIFF, &request));
    memset(&request, 0, sizeof request);
    show("TUNGETIFF", ioctl(fd, TUNGETIFF, &request));
    printf("%s %d\n", request.ifr_name, request.ifr_flags & (IFF_TAP | IFF_NO_PI));
    show("write of 5", write(fd, frame, 5));
    show("seek", lseek(fd, 0, SEEK_SET));
    return 0;
}

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

/* Nanoseconds for a read of SIZE bytes, at random or in order. */
static int reads(const char *path, const char *how, const char *size) {
    uint64_t length = (uint64_t)atol(size), turns = 20000, total;
    int fd = open(path, O_RDONLY);
    char *bytes = aligned_alloc(4096, length);
    total = (uint64_t)lseek(fd, 0, SEEK_END) / length;
    long start = now();
    for (uint64_t i = 0; i < turns; i++)
        if (pread(fd, bytes, length,
                  (long)((*how == 'r' ? number((uint32_t)total) : i % total) * length)) !=
            (long)length)
            return 1;
    printf("%ld\n", (now() - start) / (long)turns);
    return 0;
}

int main(int count, char **words) {
    const char *what = count > 2 ? words[1] : "";
    if (!strcmp(what, "edges"))
        return edges(words[2]);
    if (!strcmp(what, "scatter"))
        return scatter(words[2], words[3]);
    if (!strcmp(what, "journal"))
        return journal(words[2]);
    if (!strcmp(what, "hog"))
        return hog();
    if (!strcmp(what, "fill"))
        return fill(words[2], words[3]);
    if (!strcmp(what, "echo"))
        return echo(words[2], words[3]);
    if (!strcmp(what, "tap"))
        return tap_edges(words[2]);
    if (!strcmp(what, "reads"))
        return reads(words[2], words[3], words[4]);
    if (!strcmp(what, "words"))
        for (int i = 0; i < count; i++)
            puts(words[i]);
    return 9;
}
