/* Kinds of files, and what else there is beside them. */
#define _GNU_SOURCE
#include "served.h"
#include <dirent.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

static void fifos_are_made(void) {
    struct stat stat;
    SHOW("make", mkfifo("fifo", 0640));
    SHOW("again", mkfifo("fifo", 0640));
    lstat("fifo", &stat);
    printf("  mode %o\n", stat.st_mode);
    int fd = open("fifo", O_RDWR);
    SHOW("write", write(fd, "a", 1));
    SHOW("seek", lseek(fd, 0, SEEK_SET));
    SHOW("no reader", open("fifo", O_WRONLY | O_NONBLOCK) > 0);
    close(fd);
    SHOW("nobody", open("fifo", O_WRONLY | O_NONBLOCK));
    unlink("fifo");
}

static void files_have_attributes(void) {
    char value[16] = {0};
    int fd = open("attributes", O_RDWR | O_CREAT, 0600);
    SHOW("set", fsetxattr(fd, "user.a", "1234", 4, XATTR_CREATE));
    SHOW("again", fsetxattr(fd, "user.a", "1234", 4, XATTR_CREATE));
    SHOW("get", fgetxattr(fd, "user.a", value, 16));
    SHOW("small", fgetxattr(fd, "user.a", value, 2));
    SHOW("size", fgetxattr(fd, "user.a", NULL, 0));
    SHOW("none", fgetxattr(fd, "user.b", value, 16));
    SHOW("no kind", fgetxattr(fd, "a", value, 16));
    SHOW("remove", fremovexattr(fd, "user.a"));
    SHOW("gone", fremovexattr(fd, "user.a"));
    close(fd);
    unlink("attributes");
}

static void pipes_have_sizes(void) {
    int ends[2];
    pipe(ends);
    SHOW("size", fcntl(ends[0], F_GETPIPE_SZ));
    SHOW("set", fcntl(ends[0], F_SETPIPE_SZ, 5000));
    SHOW("size", fcntl(ends[1], F_GETPIPE_SZ));
    SHOW("zero", fcntl(ends[1], F_SETPIPE_SZ, 0));
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    static char bytes[9000];
    SHOW("fill", write(ends[1], bytes, 9000));
    SHOW("less", fcntl(ends[1], F_SETPIPE_SZ, 4096));
    SHOW("of a file", fcntl(new_file(0), F_GETPIPE_SZ));
}

static volatile int told;

static void tell(int number) {
    told = number;
}

static void an_owner_is_told(void) {
    int ends[2];
    signal(SIGIO, tell);
    pipe(ends);
    SHOW("owner", fcntl(ends[0], F_SETOWN, getpid()));
    SHOW("async", fcntl(ends[0], F_SETFL, O_ASYNC | O_NONBLOCK));
    SHOW("flags", fcntl(ends[0], F_GETFL) & O_ASYNC);
    write(ends[1], "a", 1);
    printf("  told %d\n", told);
    signal(SIGIO, SIG_DFL);
}

static void memory_is_sealed(void) {
    int fd = memfd_create("sealed", MFD_ALLOW_SEALING), plain = memfd_create("plain", 0);
    ftruncate(fd, 100);
    SHOW("seal", fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
    SHOW("seals", fcntl(fd, F_GET_SEALS));
    SHOW("shrink", ftruncate(fd, 10));
    SHOW("grow", ftruncate(fd, 1000));
    SHOW("write", pwrite(fd, "a", 1, 0));
    SHOW("beyond", pwrite(fd, "a", 1, 100));
    SHOW("no more writing", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL));
    SHOW("write", pwrite(fd, "a", 1, 0));
    SHOW("another", fcntl(fd, F_ADD_SEALS, 0x20));
    SHOW("plain", fcntl(plain, F_GET_SEALS));
    SHOW("plain", fcntl(plain, F_ADD_SEALS, F_SEAL_WRITE));
    SHOW("map", (long)mmap(NULL, 100, PROT_WRITE, MAP_SHARED, fd, 0) == -1 ? -1 : 0);
}

static void vectors_have_flags(void) {
    char bytes[8] = {0};
    struct iovec vector = {bytes, 4};
    int fd = new_file(10);
    SHOW("at", preadv2(fd, &vector, 1, 3, 0));
    SHOW("here", preadv2(fd, &vector, 1, -1, 0));
    SHOW("here", lseek(fd, 0, SEEK_CUR));
    SHOW("append", pwritev2(fd, &vector, 1, 0, RWF_APPEND));
    SHOW("size", lseek(fd, 0, SEEK_END));
    SHOW("sync", pwritev2(fd, &vector, 1, 0, RWF_DSYNC));
    SHOW("unknown", preadv2(fd, &vector, 1, 0, 1 << 20));
    SHOW("negative", preadv2(fd, &vector, 1, -2, 0));
}

static void old_entries_are_read(void) {
    char bytes[1024];
    mkdir("folder", 0700);
    int fd = open("folder", O_RDONLY);
    long size = syscall(SYS_getdents, fd, bytes, sizeof bytes), count = 0;
    for (long at = 0; at < size; count++) {
        unsigned short length = *(unsigned short *)(bytes + at + 16);
        printf("  kind %d\n", bytes[at + length - 1]);
        at += length;
    }
    printf("  %ld entries\n", count);
    SHOW("end", syscall(SYS_getdents, fd, bytes, sizeof bytes));
    close(fd);
    rmdir("folder");
}

static void pipes_are_spliced(void) {
    int a[2], b[2], fd = new_file(10);
    char bytes[16] = {0};
    loff_t at = 2;
    pipe(a), pipe(b);
    SHOW("in", splice(fd, &at, a[1], NULL, 5, 0));
    printf("  at %ld\n", (long)at);
    SHOW("tee", tee(a[0], b[1], 3, 0));
    SHOW("read", read(b[0], bytes, 16));
    SHOW("out", splice(a[0], NULL, fd, NULL, 16, SPLICE_F_NONBLOCK));
    SHOW("empty", splice(a[0], NULL, fd, NULL, 16, SPLICE_F_NONBLOCK));
    SHOW("files", splice(fd, NULL, fd, NULL, 16, 0));
    SHOW("itself", tee(a[0], a[1], 3, 0));
    at = 0;
    SHOW("offset", splice(a[0], &at, b[1], NULL, 3, SPLICE_F_NONBLOCK));
}

static void semaphores_have_names(void) {
    sem_t *made = sem_open(own_name(), O_CREAT | O_EXCL, 0600, 1);
    SHOW("made", made == SEM_FAILED ? -1 : 0);
    SHOW("again", sem_open(own_name(), O_CREAT | O_EXCL, 0600, 1) == SEM_FAILED ? -1 : 0);
    sem_t *same = sem_open(own_name(), 0);
    SHOW("down", sem_wait(made));
    SHOW("none", sem_trywait(same));
    SHOW("up", sem_post(same));
    SHOW("down", sem_trywait(made));
    SHOW("unlink", sem_unlink(own_name()));
    SHOW("gone", sem_unlink(own_name()));
}

static void systems_v(void) {
    struct {
        long kind;
        char text[4];
    } message = {3, "abc"};
    int queue = msgget(IPC_PRIVATE, 0600), set = semget(IPC_PRIVATE, 2, 0600);
    int memory = shmget(IPC_PRIVATE, 5000, 0600);
    SHOW("send", msgsnd(queue, &message, 4, 0));
    SHOW("other kind", msgrcv(queue, &message, 4, 2, IPC_NOWAIT));
    SHOW("small", msgrcv(queue, &message, 2, 3, 0));
    SHOW("receive", msgrcv(queue, &message, 4, 3, 0));
    struct sembuf up = {1, 2, 0}, down = {1, -3, IPC_NOWAIT};
    SHOW("up", semop(set, &up, 1));
    SHOW("value", semctl(set, 1, GETVAL));
    SHOW("down", semop(set, &down, 1));
    char *at = shmat(memory, NULL, 0);
    SHOW("attach", at == (void *)-1 ? -1 : (at[4999] = 1));
    SHOW("detach", shmdt(at));
    SHOW("detach", shmdt(at));
    SHOW("remove", msgctl(queue, IPC_RMID, NULL));
    SHOW("remove", semctl(set, 0, IPC_RMID));
    SHOW("remove", shmctl(memory, IPC_RMID, NULL));
    SHOW("removed", msgsnd(queue, &message, 4, 0));
}

const struct served_case kinds[] = {{"fifos_are_made", fifos_are_made},
                                    {"files_have_attributes", files_have_attributes},
                                    {"pipes_have_sizes", pipes_have_sizes},
                                    {"an_owner_is_told", an_owner_is_told},
                                    {"memory_is_sealed", memory_is_sealed},
                                    {"vectors_have_flags", vectors_have_flags},
                                    {"old_entries_are_read", old_entries_are_read},
                                    {"pipes_are_spliced", pipes_are_spliced},
                                    {"semaphores_have_names", semaphores_have_names},
                                    {"systems_v", systems_v},
                                    {NULL, NULL}};
