/*
 * Numbers that outlive the guest: a block device holds them, the first 8 bytes say how many.
 * What has been printed as booked is on the disk, even if the power fails then.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int disk;

static int64_t get(int64_t index) {
    int64_t value = 0;
    if (pread(disk, &value, sizeof value, index * (off_t)sizeof value) != sizeof value) {
        perror("read");
        exit(1);
    }
    return value;
}

/* The amount first, the count only when the amount is on the disk. */
static void put(int64_t index, int64_t value) {
    ssize_t size = sizeof value;
    if (pwrite(disk, &value, sizeof value, index * size) != size || fsync(disk)) {
        perror("write");
        exit(1);
    }
}

int main(int argc, char **argv) {
    disk = open("/dev/accounts", O_RDWR);
    if (disk < 0) {
        perror("/dev/accounts");
        return 1;
    }
    int64_t count = get(0);
    for (int i = 1; i < argc; i++) {
        put(count + 1, strtoll(argv[i], NULL, 10));
        put(0, ++count);
    }
    int64_t sum = 0;
    for (int64_t i = 1; i <= count; i++)
        sum += get(i);
    printf("%" PRId64 " booked, balance %" PRId64 "\n", count, sum);
    return 0;
}
