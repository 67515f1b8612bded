/* Frames to a guest that echoes them, by a packet socket on INTERFACE: nanoseconds for
 * COUNT frames of SIZE bytes with at most WINDOW under way; then "stop". */
#include <arpa/inet.h>
#include <netpacket/packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

int main(int argc, char **argv) {
    if (argc < 5)
        return 2;
    int count = atoi(argv[2]), size = atoi(argv[3]), window = atoi(argv[4]);
    int fd = socket(AF_PACKET, SOCK_RAW, htons(0x88b5));
    struct sockaddr_ll at = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(0x88b5),
                             .sll_ifindex = (int)if_nametoindex(argv[1])};
    struct timeval patience = {1, 0};
    static unsigned char frame[2048], answer[2048];
    struct timespec from, to;
    int sent = 0, got = 0;
    if (bind(fd, (struct sockaddr *)&at, sizeof at))
        return 3;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    memset(frame, 0xff, 6);
    frame[6] = 2, frame[12] = 0x88, frame[13] = 0xb5;
    clock_gettime(CLOCK_MONOTONIC, &from);
    while (got < count) {
        struct sockaddr_ll source;
        socklen_t length = sizeof source;
        while (sent < count && sent - got < window)
            if (send(fd, frame, (size_t)size, 0) == size)
                sent++;
        if (recvfrom(fd, answer, sizeof answer, 0, (struct sockaddr *)&source, &length) < 0)
            return 4;
        got += source.sll_pkttype != PACKET_OUTGOING;
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    memcpy(frame + 14, "stop", 4);
    send(fd, frame, 64, 0);
    printf("%f\n",
           ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / count);
    return 0;
}
