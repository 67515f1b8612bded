/* Named pipes, and what moves bytes between pipes and files, one line for each thing. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define NAME "named"

static int why(long got) {
    return got < 0 ? errno : 0;
}
#define SHOW(what, call)                                                                           \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long got = (call);                                                                         \
        printf("%s %ld %d\n", what, got < 0 ? -1 : got, why(got));                                 \
    } while (0)

static int ready(int fd) {
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    poll(&p, 1, 0);
    return p.revents;
}

static void *write_later(void *text) {
    int fd = open(NAME, O_WRONLY); /* waits for the reader, or finds it */
    long got = write(fd, text, strlen(text));
    close(fd);
    return (void *)got;
}

static void *read_later(void *to) {
    int fd = open(NAME, O_RDONLY);
    long got = read(fd, to, 32);
    close(fd);
    return (void *)got;
}

static void meeting(void) {
    char text[32] = {0}, other[32] = {0};
    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, write_later, "through the name");
    int fd = open(NAME, O_RDONLY);
    long got = read(fd, text, sizeof text);
    pthread_join(thread, &result);
    printf("read %ld %s, written %ld\n", got, text, (long)result);
    SHOW("then", read(fd, text, sizeof text));
    printf("%x\n", ready(fd));
    close(fd);
    pthread_create(&thread, NULL, read_later, other);
    fd = open(NAME, O_WRONLY);
    SHOW("to a reader", write(fd, "hello", 5));
    pthread_join(thread, &result);
    printf("%ld %s\n", (long)result, other);
    SHOW("to nobody", write(fd, "hello", 5));
    close(fd);
}

static void without_waiting(void) {
    char text[32];
    SHOW("no reader", open(NAME, O_WRONLY | O_NONBLOCK));
    SHOW("both and neither", open(NAME, O_ACCMODE | O_NONBLOCK));
    int in = open(NAME, O_RDONLY | O_NONBLOCK);
    printf("never a writer %x\n", ready(in));
    SHOW("end", read(in, text, sizeof text));
    int out = open(NAME, O_WRONLY | O_NONBLOCK);
    printf("a writer %x %x\n", ready(in), ready(out));
    SHOW("nothing", read(in, text, sizeof text));
    SHOW("write", write(out, "12345", 5));
    printf("bytes %x\n", ready(in));
    close(out);
    printf("the writer is gone %x\n", ready(in));
    SHOW("read", read(in, text, sizeof text));
    int again = open(NAME, O_RDONLY | O_NONBLOCK);
    printf("came later %x, before %x\n", ready(again), ready(in));
    close(again);
    close(in);
    int both = open(NAME, O_RDWR);
    SHOW("kept", write(both, "kept", 4));
    SHOW("size", fcntl(both, F_GETPIPE_SZ));
    SHOW("flags", fcntl(both, F_GETFL));
    SHOW("back", read(both, text, sizeof text));
    SHOW("seek", lseek(both, 0, SEEK_SET));
    SHOW("packets", open(NAME, O_RDWR | O_DIRECT));
    SHOW("bytes left behind", write(both, "gone", 4));
    close(both);
    in = open(NAME, O_RDONLY | O_NONBLOCK);
    SHOW("gone", read(in, text, sizeof text));
    close(in);
}

static void as_a_file(void) {
    struct stat a, b;
    char name[64], path[4096] = {0};
    SHOW("twice", mkfifo(NAME, 0600));
    int fd = open(NAME, O_RDWR);
    SHOW("fchmod", fchmod(fd, 0604));
    fstat(fd, &a), lstat(NAME, &b);
    printf("%o %o %d %ld %ld\n", a.st_mode, b.st_mode, a.st_ino == b.st_ino, (long)b.st_size,
           (long)b.st_nlink);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    long got = readlink(name, path, sizeof path - 1);
    printf("%d %s\n", got > 0, strrchr(path, '/') ? strrchr(path, '/') : path);
    SHOW("truncate", truncate(NAME, 0));
    SHOW("folder", open(NAME, O_RDONLY | O_DIRECTORY));
    SHOW("unlink", unlink(NAME));
    SHOW("written without a name", write(fd, "x", 1));
    fstat(fd, &a);
    printf("%ld\n", (long)a.st_nlink);
    close(fd);
}

static void *feed(void *to) {
    usleep(20000);
    write(*(int *)to, "0123456789", 10);
    close(*(int *)to);
    return NULL;
}

static void moving(void) {
    int a[2], b[2], file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    char text[64] = {0};
    pthread_t thread;
    loff_t at = 3;
    pipe(a), pipe(b);
    pthread_create(&thread, NULL, feed, &a[1]);
    SHOW("tee waits", tee(a[0], b[1], 4, 0));
    pthread_join(thread, NULL);
    SHOW("splice", splice(a[0], NULL, b[1], NULL, 7, 0));
    SHOW("to the file", splice(b[0], NULL, file, &at, 100, 0));
    SHOW("what is left", splice(a[0], NULL, file, NULL, 100, SPLICE_F_MOVE | SPLICE_F_MORE));
    SHOW("the end", splice(a[0], NULL, file, NULL, 100, 0));
    printf("%ld %ld\n", (long)at, (long)lseek(file, 0, SEEK_CUR));
    at = 1;
    SHOW("from the file", splice(file, &at, b[1], NULL, 100, 0));
    struct iovec parts[] = {{"ab", 2}, {"cde", 3}}, into = {text, sizeof text};
    SHOW("memory", vmsplice(b[1], parts, 2, 0));
    SHOW("into memory", vmsplice(b[0], &into, 1, 0));
    printf("%s\n", text + 2);
    SHOW("one pipe", splice(b[0], NULL, b[1], NULL, 1, 0));
    SHOW("no pipe", splice(file, NULL, file, NULL, 1, 0));
    SHOW("a place in a pipe", splice(b[0], &at, file, NULL, 1, 0));
    close(b[0]);
    SHOW("nobody reads", splice(file, &at, b[1], NULL, 1, 0));
    unlink("file");
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    SHOW("made", mkfifo(NAME, 0640));
    meeting();
    without_waiting();
    as_a_file();
    moving();
    return 0;
}
