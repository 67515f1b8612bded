/* AF_UNIX sockets: names, streams, datagrams, sequenced packets, what goes along, and errors. */
#include "said.h"

static char bytes[1 << 18];

static socklen_t named(struct sockaddr_un *to, const char *name) {
    memset(to, 0, sizeof *to);
    to->sun_family = AF_UNIX;
    if (*name == '@') {
        memcpy(to->sun_path + 1, name + 1, strlen(name) - 1);
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    }
    strcpy(to->sun_path, name);
    return sizeof *to;
}

static int bound(int fd, const char *name) {
    struct sockaddr_un to;
    socklen_t length = named(&to, name);
    return bind(fd, (void *)&to, length);
}

static int linked(int fd, const char *name) {
    struct sockaddr_un to;
    socklen_t length = named(&to, name);
    return connect(fd, (void *)&to, length);
}

static ssize_t sent_to(int fd, const char *text, const char *name, int flags) {
    struct sockaddr_un to;
    socklen_t length = named(&to, name);
    return sendto(fd, text, strlen(text), flags, (void *)&to, length);
}

static void show_name(int fd, int peer) {
    struct sockaddr_un of;
    socklen_t length = sizeof of;
    memset(&of, '?', sizeof of);
    int result =
        peer ? getpeername(fd, (void *)&of, &length) : getsockname(fd, (void *)&of, &length);
    printf("  name %d %u", result, result < 0 ? (unsigned)errno : length);
    if (!result && length > 2)
        printf(" %.*s", (int)length - 3, of.sun_path + !of.sun_path[0]);
    puts("");
}

static ssize_t received_from(int fd, int flags) {
    struct sockaddr_un of;
    socklen_t length = sizeof of;
    memset(bytes, 0, 32);
    ssize_t got = recvfrom(fd, bytes, 16, flags, (void *)&of, &length);
    int error = errno;
    if (got >= 0)
        printf("  [%.16s] of %u %.*s\n", bytes, length, length > 3 ? (int)length - 3 : 0,
               of.sun_path + !of.sun_path[0]);
    errno = error;
    return got;
}

static int number(int fd, int name) {
    int value = -7;
    socklen_t length = sizeof value;
    return getsockopt(fd, SOL_SOCKET, name, &value, &length) ? -errno : value;
}

static void kinds(void) {
    static const int asked[][3] = {{1, 1, 0},  {1, 2, 1},       {1, 5, 0},   {1, 3, 0},
                                   {1, 4, 0},  {1, 1, 6},       {1, 11, 0},  {1, 16, 0},
                                   {0, 1, 0},  {46, 1, 0},      {-1, 1, 0},  {1, 1, 2},
                                   {1, -1, 0}, {1, 0x10001, 0}, {16, 3, 99}, {40, 1, 7}};
    for (unsigned i = 0; i < sizeof asked / sizeof *asked; i++) {
        int fd = socket(asked[i][0], asked[i][1], asked[i][2]);
        int error = errno;
        if (asked[i][0] == 16 || asked[i][0] == 40)
            continue; /* a kernel has them or not */
        printf("socket %d: %d %s", i, fd >= 0, fd < 0 ? strerror(error) : "");
        if (fd >= 0)
            printf("%d %d %d", number(fd, SO_TYPE), number(fd, SO_DOMAIN), number(fd, SO_PROTOCOL));
        puts("");
        close(fd);
    }
}

static void names(void) {
    struct sockaddr_un to;
    struct stat stat_of;
    int a = socket(AF_UNIX, SOCK_STREAM, 0),
        b = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    printf("flags %x %x\n", fcntl(b, F_GETFD), fcntl(b, F_GETFL));
    show_name(a, 0);
    show_name(a, 1);
    SAY(bound(a, "here"));
    show_name(a, 0);
    SAY(stat("here", &stat_of));
    printf("%o\n", stat_of.st_mode);
    SAY(bound(b, "here"));
    SAY(bound(a, "there"));
    SAY(stat("there", &stat_of));
    SAY(bound(b, "no/such/folder"));
    SAY(bound(b, "@abstract"));
    show_name(b, 0);
    SAY(bound(a, "@abstract"));
    SAY(open("here", O_RDWR));
    SAY(bind(b, (void *)&to, 1));
    SAY(bind(b, (void *)&to, 111));
    SAY(bind(b, (void *)&to, 1000));
    SAY(bind(b, (void *)&to, -1));
    SAY(bind(b, (void *)-4096L, 10));
    to.sun_family = AF_INET;
    SAY(bind(b, (void *)&to, 20));
    SAY(bind(77, (void *)&to, 20));
    SAY(bind(0, (void *)&to, 20));
    int c = socket(AF_UNIX, SOCK_DGRAM, 0), d = socket(AF_UNIX, SOCK_DGRAM, 0);
    to.sun_family = AF_UNIX;
    SAY(bind(c, (void *)&to, 2));
    socklen_t length = sizeof to;
    getsockname(c, (void *)&to, &length);
    printf("autobind %u %d\n", length, to.sun_path[0]);
    SAY(bound(d, "@abstract"));
    SAY(unlink("here"));
    SAY(bound(d, "here"));
    SAY(linked(b, "here"));
    SAY(linked(b, "@abstract"));
    SAY(linked(b, "@none"));
    SAY(linked(b, "none"));
    SAY(linked(b, "/proc"));
    close(a), close(b);
    a = socket(AF_UNIX, SOCK_DGRAM, 0);
    SAY(bound(a, "@abstract"));
    close(d);
    SAY(linked(a, "here"));
    SAY(unlink("here"));
    close(a), close(c);
}

static void streams(void) {
    int l = socket(AF_UNIX, SOCK_STREAM, 0), a = socket(AF_UNIX, SOCK_STREAM, 0);
    int b = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), c;
    READY(l);
    SAY(listen(l, 1));
    SAY(bound(l, "listener"));
    SAY(linked(a, "listener"));
    SAY(recv(a, bytes, 1, 0));
    SAY(send(a, "x", 1, 0));
    SAY(accept(l, NULL, NULL));
    SAY(listen(l, 1));
    READY(l);
    SAY(number(l, SO_ACCEPTCONN));
    SAY(linked(a, "listener"));
    SAY(linked(a, "listener"));
    READY(a), READY(l);
    SAY(linked(b, "listener"));
    SAY(linked(b, "listener"));
    c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    SAY(linked(c, "listener"));
    SAY(send(a, "early", 5, 0));
    struct sockaddr_un of;
    socklen_t length = sizeof of;
    int s = accept4(l, (void *)&of, &length, SOCK_NONBLOCK);
    printf("%d %u\n", s >= 0, length);
    show_name(s, 0), show_name(s, 1), show_name(a, 1), show_name(a, 0);
    READY(s);
    SAY(received_from(s, 0));
    SAY(received_from(s, 0));
    SAY(sent_to(s, "to", "listener", 0));
    SAY(send(s, "peeked", 6, 0));
    SAY(received_from(a, MSG_PEEK));
    struct iovec two[2] = {{bytes, 2}, {bytes + 100, 100}};
    SAY(readv(a, two, 2));
    printf("%.2s %.4s\n", bytes, bytes + 100);
    SAY(writev(a, two, 1));
    int unread;
    SAY(ioctl(s, FIONREAD, &unread));
    printf("%d\n", unread);
    SAY(ioctl(l, FIONREAD, &unread));
    SAY(shutdown(a, 5));
    SAY(shutdown(a, SHUT_WR));
    READY(a), READY(s);
    SAY(send(a, "x", 1, 0));
    SAY(received_from(s, 0));
    SAY(received_from(s, 0));
    SAY(send(s, "back", 4, 0));
    SAY(shutdown(s, SHUT_RDWR));
    READY(a), READY(s);
    SAY(received_from(a, MSG_WAITALL));
    SAY(received_from(a, 0));
    SAY(send(s, "x", 1, MSG_NOSIGNAL));
    close(s);
    show_name(a, 1);
    close(a);
    SAY(accept(l, NULL, NULL) < 0);
    SAY(send(b, "unread", 6, 0));
    close(l);
    READY(b);
    SAY(recv(b, bytes, 9, 0));
    SAY(recv(b, bytes, 9, 0));
    SAY(send(b, "x", 1, 0));
    SAY(linked(c, "listener"));
    unlink("listener");
    close(b), close(c);
}

static long filled(int fd, size_t size) {
    long count = 0;
    while (send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        count++;
    return count;
}

static void room(void) {
    static const int sizes[] = {1, 100, 200, 1000, 3776, 3777, 4096, 10000, 65536};
    int pair[2];
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
        printf("%d: %ld\n", sizes[i], filled(pair[0], (size_t)sizes[i]));
        READY(pair[0]);
        for (int k = 0; k < 3; k++) {
            recv(pair[1], bytes, 60000, MSG_DONTWAIT);
            READY(pair[0]);
        }
        close(pair[0]), close(pair[1]);
    }
    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
    SAY(send(pair[0], bytes, sizeof bytes, MSG_DONTWAIT));
    SAY(filled(pair[0], 1000));
    close(pair[0]), close(pair[1]);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    SAY(filled(pair[0], 1000));
    int value = 5000;
    SAY(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &value, sizeof value));
    SAY(number(pair[1], SO_SNDBUF));
    SAY(send(pair[1], bytes, 9968, 0));
    SAY(send(pair[1], bytes, 9969, 0));
    SAY(filled(pair[1], 100));
    close(pair[0]), close(pair[1]);
}

static void datagrams(void) {
    int a = socket(AF_UNIX, SOCK_DGRAM, 0), b = socket(AF_UNIX, SOCK_DGRAM, 0);
    int c = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    READY(a);
    SAY(send(a, "x", 1, 0));
    SAY(listen(a, 1));
    SAY(accept(a, NULL, NULL));
    SAY(bound(a, "@a"));
    SAY(bound(b, "@b"));
    SAY(sent_to(b, "first", "@a", 0));
    SAY(sent_to(c, "second", "@a", 0));
    SAY(sent_to(c, "much longer than it may be", "@a", 0));
    SAY(sent_to(c, "", "@a", 0));
    SAY(received_from(a, MSG_PEEK));
    SAY(received_from(a, 0));
    SAY(received_from(a, 0));
    SAY(received_from(a, MSG_TRUNC));
    SAY(received_from(a, 0));
    SAY(received_from(a, MSG_DONTWAIT));
    SAY(sent_to(c, "x", "@none", 0));
    SAY(linked(a, "@b"));
    show_name(a, 1);
    SAY(sent_to(c, "x", "@a", 0));
    SAY(linked(c, "@a"));
    SAY(sent_to(b, "x", "@a", 0));
    SAY(send(a, "connected", 9, 0));
    SAY(received_from(b, 0));
    SAY(linked(c, "@b"));
    SAY(filled(c, 10) > 10); /* how many, is a setting of the machine */
    READY(c);
    while (recv(b, bytes, 20, MSG_DONTWAIT) > 0)
        continue;
    READY(c);
    SAY(shutdown(b, SHUT_RD));
    SAY(send(c, "x", 1, 0));
    SAY(shutdown(c, SHUT_WR));
    SAY(send(c, "x", 1, 0));
    close(b);
    SAY(send(a, "x", 1, 0));
    SAY(send(a, "x", 1, 0));
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    SAY(connect(a, &none, sizeof none));
    show_name(a, 1);
    struct iovec two[2] = {{"ab", 2}, {"cd", 2}};
    int pair[2];
    SAY(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    SAY(writev(pair[0], two, 2));
    SAY(write(pair[0], "", 0));
    SAY(read(pair[1], bytes, 3));
    SAY(read(pair[1], bytes, 0));
    SAY(read(pair[1], bytes, 3));
    SAY(shutdown(pair[1], SHUT_RD));
    SAY(recv(pair[1], bytes, 3, MSG_DONTWAIT));
    SAY(recv(pair[1], bytes, 3, 0));
    close(pair[0]);
    SAY(send(pair[1], "x", 1, 0));
    close(pair[1]), close(a), close(c);
}

static void sequenced(void) {
    int l = socket(AF_UNIX, SOCK_SEQPACKET, 0), a = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    struct iovec one = {bytes, 3};
    struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1};
    bound(l, "@seq");
    SAY(send(a, "x", 1, 0));
    SAY(recv(a, bytes, 1, 0));
    SAY(listen(l, 4));
    SAY(linked(a, "@seq"));
    int s = accept(l, NULL, NULL), b = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    SAY(linked(b, "@seq"));
    close(b);
    SAY(send(a, "first", 5, 0));
    SAY(send(a, "second", 6, 0));
    SAY(sent_to(a, "third", "@none", 0));
    SAY(recvmsg(s, &message, 0));
    printf("flags %x\n", message.msg_flags);
    SAY(recv(s, bytes, 9, 0));
    SAY(send(s, "y", 1, 0));
    close(s);
    READY(a);
    SAY(recv(a, bytes, 9, 0));
    SAY(recv(a, bytes, 9, 0));
    SAY(recv(a, bytes, 9, 0));
    SAY(send(a, "x", 1, 0));
    b = accept(l, NULL, NULL);
    close(l);
    l = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    SAY(bound(l, "@seq"));
    close(a), close(b), close(l);
}

union space {
    struct cmsghdr head;
    char room[256];
};

static ssize_t pass(int fd, int count, const int *fds, int level, int kind) {
    union space control = {{0}};
    struct iovec one = {"p", 1};
    struct msghdr message = {.msg_iov = &one,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count)};
    control.head.cmsg_level = level, control.head.cmsg_type = kind;
    control.head.cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
    memcpy(CMSG_DATA(&control.head), fds, sizeof(int) * (size_t)count);
    return sendmsg(fd, &message, 0);
}

static void show_control(const struct msghdr *message) {
    printf("  flags %x control %zu:", message->msg_flags, (size_t)message->msg_controllen);
    for (struct cmsghdr *each = CMSG_FIRSTHDR(message); each;
         each = CMSG_NXTHDR((struct msghdr *)message, each)) {
        printf(" %d %d %zu", each->cmsg_level, each->cmsg_type, (size_t)each->cmsg_len);
        if (each->cmsg_type == SCM_RIGHTS)
            for (size_t i = 0; i < (each->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
                int fd = ((int *)CMSG_DATA(each))[i];
                printf(" fd %d %d", fcntl(fd, F_GETFD), (int)write(fd, "w", 1));
                close(fd);
            }
        else
            printf(" uid %u", ((struct ucred *)CMSG_DATA(each))->uid);
    }
    puts("");
}

static ssize_t passed(int fd, size_t size, size_t room, int flags) {
    union space control;
    struct iovec one = {bytes, size};
    struct msghdr message = {.msg_iov = &one,
                             .msg_iovlen = 1,
                             .msg_control = room ? &control : NULL,
                             .msg_controllen = room};
    ssize_t got = recvmsg(fd, &message, flags);
    int error = errno;
    if (got >= 0)
        show_control(&message);
    errno = error;
    return got;
}

static void along(void) {
    int pair[2], pipes[2], on = 1;
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    pipe(pipes);
    SAY(pass(pair[0], 1, &pipes[1], SOL_SOCKET, SCM_RIGHTS));
    SAY(send(pair[0], "more", 4, 0));
    close(pipes[1]);
    SAY(passed(pair[1], 9, 256, MSG_PEEK));
    SAY(passed(pair[1], 9, 256, MSG_CMSG_CLOEXEC));
    SAY(passed(pair[1], 9, 256, 0));
    SAY(read(pipes[0], bytes, 9));
    SAY(read(pipes[0], bytes, 9));
    pipe(pipes);
    int three[3] = {pipes[1], pipes[1], pipes[1]}, bad[2] = {pipes[1], 99};
    SAY(pass(pair[0], 2, bad, SOL_SOCKET, SCM_RIGHTS));
    SAY(pass(pair[0], 3, three, SOL_SOCKET, 77));
    SAY(pass(pair[0], 3, three, 7, 77));
    SAY(recv(pair[1], bytes, 9, 0));
    SAY(pass(pair[0], 3, three, SOL_SOCKET, SCM_RIGHTS));
    SAY(passed(pair[1], 9, CMSG_LEN(2 * sizeof(int)), 0));
    SAY(pass(pair[0], 1, three, SOL_SOCKET, SCM_RIGHTS));
    SAY(passed(pair[1], 9, 5, 0));
    SAY(pass(pair[0], 1, three, SOL_SOCKET, SCM_RIGHTS));
    SAY(passed(pair[1], 9, 0, 0));
    SAY(pass(pair[0], 1, three, SOL_SOCKET, SCM_RIGHTS));
    SAY(recv(pair[1], bytes, 9, 0));
    SAY(pass(pair[0], 1, three, SOL_SOCKET, SCM_RIGHTS));
    SAY(read(pair[1], bytes, 9));
    SAY(sendto(pair[0], "n", 1, 0, (void *)bytes, 0));
    SAY(pass(pair[0], 1, three, SOL_SOCKET, SCM_RIGHTS));
    close(pipes[1]);
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    SAY(read(pipes[0], bytes, 9));
    SAY(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    SAY(send(pair[0], "known", 5, 0));
    SAY(passed(pair[1], 9, 256, 0));
    SAY(passed(pair[1], 9, 256, 0));
    close(pair[0]), close(pair[1]);
    SAY(read(pipes[0], bytes, 20));
    SAY(read(pipes[0], bytes, 9));
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    struct ucred by = {getpid(), 0, 0};
    int words[3];
    memcpy(words, &by, sizeof by);
    SAY(pass(pair[0], 3, words, SOL_SOCKET, SCM_CREDENTIALS));
    SAY(pass(pair[0], 2, words, SOL_SOCKET, SCM_CREDENTIALS));
    SAY(passed(pair[1], 0, 256, 0));
    struct ucred peer = {0};
    socklen_t length = sizeof peer;
    SAY(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &peer, &length));
    printf("%d %u %u\n", peer.pid == getpid(), peer.uid, length);
    close(pair[0]), close(pair[1]);
}

static void several(void) {
    int pair[2];
    struct iovec each[3] = {{"one", 3}, {"two2", 4}, {"three", 5}},
                 into[3] = {{bytes, 8}, {bytes + 8, 8}, {bytes + 16, 2}};
    struct mmsghdr out[3] = {{{0}, 0}}, in[3] = {{{0}, 0}};
    for (int i = 0; i < 3; i++) {
        out[i].msg_hdr.msg_iov = &each[i], out[i].msg_hdr.msg_iovlen = 1;
        in[i].msg_hdr.msg_iov = &into[i], in[i].msg_hdr.msg_iovlen = 1;
    }
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    SAY(sendmmsg(pair[0], out, 3, 0));
    printf("%u %u %u\n", out[0].msg_len, out[1].msg_len, out[2].msg_len);
    SAY(recvmmsg(pair[1], in, 3, MSG_WAITFORONE, NULL));
    printf("%u %u %u %x\n", in[0].msg_len, in[1].msg_len, in[2].msg_len, in[2].msg_hdr.msg_flags);
    SAY(sendmmsg(pair[0], out, 2, 0));
    SAY(recvmmsg(pair[1], in, 3, MSG_WAITFORONE, NULL));
    SAY(recvmmsg(pair[1], in, 3, MSG_DONTWAIT, NULL));
    SAY(sendmmsg(99, out, 1, 0));
    close(pair[0]), close(pair[1]);
}

static int late[2];

static void *answer(void *own) {
    const struct timespec while_ = {0, 20000000};
    nanosleep(&while_, NULL);
    send(late[1], "late", 4, 0);
    nanosleep(&while_, NULL);
    send(late[1], "later", 5, 0);
    return own;
}

static void *come(void *own) {
    const struct timespec while_ = {0, 20000000};
    nanosleep(&while_, NULL);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    linked(fd, "@late");
    return own;
}

static void waits(void) {
    pthread_t thread;
    struct timeval time = {0, 30000};
    socketpair(AF_UNIX, SOCK_STREAM, 0, late);
    pthread_create(&thread, NULL, answer, NULL);
    SAY(recv(late[0], bytes, 9, MSG_WAITALL));
    pthread_join(thread, NULL);
    setsockopt(late[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    SAY(recv(late[0], bytes, 9, 0));
    setsockopt(late[0], SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
    SAY(send(late[0], bytes, sizeof bytes, 0) > 100000);
    SAY(send(late[0], bytes, sizeof bytes, 0));
    struct timeval told = {9, 9};
    socklen_t length = sizeof told;
    SAY(getsockopt(late[0], SOL_SOCKET, SO_RCVTIMEO, &told, &length));
    printf("%ld %u\n", (long)told.tv_sec, length);
    time.tv_usec = 2000000;
    SAY(setsockopt(late[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
    int l = socket(AF_UNIX, SOCK_STREAM, 0);
    bound(l, "@late");
    listen(l, 1);
    pthread_create(&thread, NULL, come, NULL);
    SAY(accept(l, NULL, NULL) >= 0);
    pthread_join(thread, NULL);
}

static void edges(void) {
    int pair[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    show_edges(pair, EPOLLIN | EPOLLOUT, 6, 1);
}

static void options(void) {
    static const int asked[] = {SO_DEBUG,      SO_REUSEADDR, SO_TYPE,     SO_ERROR,
                                SO_DONTROUTE,  SO_BROADCAST, SO_SNDBUF,   SO_RCVBUF,
                                SO_KEEPALIVE,  SO_OOBINLINE, SO_PRIORITY, SO_REUSEPORT,
                                SO_PASSCRED,   SO_RCVLOWAT,  SO_SNDLOWAT, SO_TIMESTAMP,
                                SO_ACCEPTCONN, SO_PROTOCOL,  SO_DOMAIN,   SO_PEEK_OFF};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), value = 3;
    for (unsigned i = 0; i < sizeof asked / sizeof *asked; i++) {
        int before = number(fd, asked[i]), set = 0;
        if (asked[i] != SO_PEEK_OFF && asked[i] != SO_DEBUG)
            set = setsockopt(fd, SOL_SOCKET, asked[i], &value, sizeof value);
        printf("option %d: %d %d %d\n", asked[i], before, set, number(fd, asked[i]));
    }
    SAY(setsockopt(fd, SOL_SOCKET, 1000, &value, sizeof value));
    SAY(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, 2));
    SAY(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, -2));
    SAY(setsockopt(fd, 6, 1, &value, sizeof value));
    socklen_t length = 2;
    SAY(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length));
    printf("%u\n", length);
    SAY(getsockopt(fd, 6, 1, &value, &length));
    SAY(getsockopt(fd, SOL_SOCKET, 1000, &value, &length));
    struct linger linger = {1, 5};
    SAY(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    length = sizeof linger;
    SAY(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &length));
    printf("%d %d\n", linger.l_onoff, linger.l_linger);
    close(fd);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, hear);
    kinds();
    names();
    streams();
    room();
    datagrams();
    sequenced();
    along();
    several();
    waits();
    edges();
    options();
    return 0;
}
