/* Sends that many descriptors to itself, which it does not take, and runs a program meanwhile: all
 * as a user that the host's bound of such descriptors holds for. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int ends[2], status, program = open(argv[2], O_RDONLY | O_CLOEXEC);
    char space[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec byte = {"x", 1};
    struct msghdr message = {
        .msg_iov = &byte, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    if (argc < 3 || program < 0 || (!geteuid() && setresuid(60123, 60123, 60123)))
        return 90;
    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends);
    for (int left = atoi(argv[1]); left > 0; left--) {
        memcpy(CMSG_DATA(head), &ends[0], sizeof(int));
        if (sendmsg(ends[0], &message, MSG_DONTWAIT) != 1)
            return 91;
    }
    if (!fork())
        fexecve(program, argv + 2, (char *[]){NULL});
    wait(&status);
    return WEXITSTATUS(status);
}
