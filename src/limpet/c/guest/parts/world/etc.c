/* The least of /etc: one user, no name service. */
#include "parts/world/world.h"

/* tzfile(5): UTC, twice the same block as every file of a time zone has. */
#define ZEROS_15 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define COUNTS "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\4"
#define BLOCK "TZif2" ZEROS_15 COUNTS "\0\0\0\0\0\0UTC\0"
#define UTC BLOCK BLOCK "\nUTC0\n"

const struct standard etc_names[] = {
    FILE("group", "root:x:0:\nnogroup:x:65534:\n"),
    FILE("hostname", "limpet\n"),
    FILE("hosts", "127.0.0.1\tlocalhost\n127.0.0.1\tlimpet\n::1\tlocalhost\n"),
    FILE("localtime", UTC),
    LINK("mtab", "/proc/self/mounts"),
    FILE("nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n"
                          "networks: files\nprotocols: files\nservices: files\n"),
    FILE("passwd", "root:x:0:0:root:/:/bin/sh\n"
                   "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"),
    FILE("protocols", "ip\t0\tIP\nicmp\t1\tICMP\ntcp\t6\tTCP\nudp\t17\tUDP\nipv6\t41\tIPv6\n"),
    FILE("services",
         "ssh\t22/tcp\nsmtp\t25/tcp\ndomain\t53/tcp\ndomain\t53/udp\nhttp\t80/tcp\twww\n"
         "ntp\t123/udp\nhttps\t443/tcp\nhttps\t443/udp\n"),
    {0},
};
