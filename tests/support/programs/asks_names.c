/*
 * A hostile guest that asks for changes of names with whatever it is told: "kvm PORT BLOCK" or
 * "process SENDTO RECVFROM", and on standard input one request a line: what, argument, volume,
 * length and, in hexadecimal, the bytes of names.  It prints the result of each.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef uint64_t u64;

static char bytes[20000];

static long call_at(u64 at, long number, long fd, const void *data, u64 size, long flags) {
    register long r10 __asm__("r10") = flags;
    register long r8 __asm__("r8") = 0;
    register long r9 __asm__("r9") = 0;
    long result;
    __asm__ volatile("lea -128(%%rsp), %%rsp\ncall *%[at]\nlea 128(%%rsp), %%rsp"
                     : "=a"(result)
                     : [at] "b"(at), "a"(number), "D"(fd), "S"(data), "d"(size), "r"(r10), "r"(r8),
                       "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* struct volume_name, where a virtual machine's monitor looks for it. */
static long by_port(u64 port, u64 block, const u64 *n) {
    u64 words[11] = {n[0], n[1], n[2], n[4] ? n[4] : (u64)bytes, n[3], 1, 2, 3, 4};
    memcpy((void *)block, words, sizeof words);
    __asm__ volatile("outl %0, %1" ::"a"((uint32_t)block), "Nd"((uint16_t)port) : "memory");
    return ((int64_t *)block)[11];
}

/* struct volume_ask and the names, as a message of that many bytes. */
static long by_message(u64 send, u64 receive, const u64 *n, u64 size) {
    u64 words[11] = {n[0], n[1], n[2], n[3], 1, 2, 3, 4};
    static char message[sizeof words + sizeof bytes];
    int64_t result = 0;
    memcpy(message, words, sizeof words);
    memcpy(message + sizeof words, bytes, sizeof bytes);
    if (n[4])
        size = n[4]; /* of the whole message */
    else
        size += sizeof words;
    if (call_at(send, 44, 127, message, size, 0x4000) < 0)
        return -1000;
    call_at(receive, 45, 127, &result, sizeof result, 0);
    return result;
}

int main(int count, char **words) {
    static char line[50000];
    struct stat of;
    if (count < 4)
        return open("/w/x", O_RDONLY) + rename("/w/x", "/w/y") + chmod("/w/x", 0) +
               link("/w/x", "/w/y") + unlink("/w/x") + stat("/w/x", &of);
    u64 first = strtoull(words[2], 0, 0), second = strtoull(words[3], 0, 0);
    while (fgets(line, sizeof line, stdin)) {
        char *at = line;
        u64 n[5], size = 0;
        for (int i = 0; i < 5; i++)
            n[i] = strtoull(at, &at, 0);
        memset(bytes, 0, sizeof bytes);
        for (at++; at[0] > ' ' && at[1] > ' '; at += 2, size++) {
            const char pair[3] = {at[0], at[1], 0};
            bytes[size] = (char)strtoul(pair, 0, 16);
        }
        printf("%ld\n",
               words[1][0] == 'k' ? by_port(first, second, n) : by_message(first, second, n, size));
        fflush(stdout);
    }
    return 0;
}
