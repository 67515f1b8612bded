/* Send every Ethernet frame back to who sent it, until one says "stop". */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { ADDRESS = 6, HEADER = 14 }; /* bytes of a MAC address, and of an Ethernet header */

int main(void) {
    struct ifreq wanted = {.ifr_name = "wire", .ifr_flags = IFF_TAP | IFF_NO_PI};
    int network = open("/dev/net/tun", O_RDWR);
    if (network < 0 || ioctl(network, TUNSETIFF, &wanted)) {
        perror("the network wire");
        return 1;
    }
    unsigned char frame[2048], sender[ADDRESS];
    ssize_t size;
    unsigned echoed = 0;
    while ((size = read(network, frame, sizeof frame)) >= HEADER) {
        if (frame[12] != 0x88 || frame[13] != 0xb5) /* only the type for experiments */
            continue;
        memcpy(sender, frame + ADDRESS, ADDRESS);
        memcpy(frame + ADDRESS, frame, ADDRESS);
        memcpy(frame, sender, ADDRESS);
        if (write(network, frame, (size_t)size) != size)
            perror("send");
        echoed++;
        if (size >= HEADER + 4 && !memcmp(frame + HEADER, "stop", 4))
            break;
    }
    printf("%u frames\n", echoed);
    return 0;
}
