/* System V queues, semaphores and memory between threads, one line for each thing. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

static int why(long got) {
    return got < 0 ? errno : 0;
}
#define SHOW(what, call)                                                                           \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long got = (call);                                                                         \
        printf("%s %ld %d\n", what, got, why(got));                                                \
    } while (0)

struct message {
    long type;
    char text[64];
};

static int queue, set, segment;
static const struct timespec little = {0, 30000000};

static void *send_later(void *text) {
    struct message message = {7, {0}};
    nanosleep(&little, 0);
    strcpy(message.text, text);
    msgsnd(queue, &message, strlen(text), 0);
    return NULL;
}

static void *take_later(void *unused) {
    struct message message;
    nanosleep(&little, 0);
    for (int i = 0; i < 2; i++)
        msgrcv(queue, &message, sizeof message.text, 0, MSG_NOERROR);
    return unused;
}

static void *remove_later(void *what) {
    nanosleep(&little, 0);
    if (what == &queue)
        msgctl(queue, IPC_RMID, NULL);
    else
        semctl(set, 0, IPC_RMID);
    return NULL;
}

static void *raise_later(void *unused) {
    struct sembuf up = {0, 2, 0};
    nanosleep(&little, 0);
    printf("wait %d, for zero %d\n", semctl(set, 0, GETNCNT), semctl(set, 1, GETZCNT));
    semop(set, &up, 1);
    return unused;
}

static void nothing(int number) {
    (void)number;
}

static void messages(void) {
    static struct message message, large = {1, {0}};
    struct msqid_ds status;
    pthread_t thread;
    queue = msgget(IPC_PRIVATE, 0600);
    pthread_create(&thread, NULL, send_later, "hello");
    SHOW("waits for one", msgrcv(queue, &message, sizeof message.text, -9, 0));
    pthread_join(thread, NULL);
    printf("%ld %.5s\n", message.type, message.text);
    msgctl(queue, IPC_STAT, &status);
    printf("%d %d\n", status.msg_lspid == getpid(), status.msg_lrpid == getpid());
    status.msg_qbytes = 100;
    SHOW("smaller", msgctl(queue, IPC_SET, &status));
    SHOW("one", msgsnd(queue, &large, 60, 0));
    SHOW("no room", msgsnd(queue, &large, 60, IPC_NOWAIT));
    pthread_create(&thread, NULL, take_later, NULL);
    SHOW("waits for room", msgsnd(queue, &large, 60, 0));
    pthread_join(thread, NULL);
    SHOW("one more", msgsnd(queue, &large, 60, 0));
    SHOW("to nowhere", msgrcv(queue, (void *)8, 60, 0, 0));
    SHOW("lost by that", msgrcv(queue, &message, 60, 0, IPC_NOWAIT));
    signal(SIGALRM, nothing);
    alarm(1);
    SHOW("interrupted", msgrcv(queue, &message, 10, 0, 0));
    pthread_create(&thread, NULL, remove_later, &queue);
    SHOW("removed", msgrcv(queue, &message, 10, 0, 0));
    pthread_join(thread, NULL);
    SHOW("gone", msgrcv(queue, &message, 10, 0, 0));
}

static void semaphores(void) {
    struct sembuf both[] = {{0, -1, SEM_UNDO}, {1, 0, 0}}, down = {0, -9, 0};
    pthread_t thread;
    set = semget(IPC_PRIVATE, 3, 0600);
    SHOW("value", semctl(set, 1, SETVAL, 0));
    pthread_create(&thread, NULL, raise_later, NULL);
    SHOW("waits", semop(set, both, 2));
    pthread_join(thread, NULL);
    SHOW("left", semctl(set, 0, GETVAL));
    printf("%d %d %d\n", semctl(set, 0, GETPID) == getpid(), semctl(set, 1, GETPID) == getpid(),
           semctl(set, 2, GETPID));
    SHOW("a time", semtimedop(set, &down, 1, &little));
    alarm(1);
    SHOW("interrupted", semop(set, &down, 1));
    pthread_create(&thread, NULL, remove_later, &set);
    SHOW("removed", semop(set, &down, 1));
    pthread_join(thread, NULL);
}

static void memory(void) {
    struct shmid_ds status;
    segment = shmget(77, 5000, IPC_CREAT | 0600);
    char *at = shmat(segment, NULL, 0);
    printf("%d\n", at == (char *)-1);
    at[0] = at[4999] + 1, at[8191] = 3; /* whole pages */
    strcpy(at + 100, "what is kept");
    SHOW("detached", shmdt(at));
    SHOW("again", shmdt(at));
    SHOW("beside", shmdt(at + 4096));
    at = shmat(segment, NULL, SHM_RDONLY);
    printf("%d %d %s\n", at[0], at[8191], at + 100);
    char *other = shmat(segment, NULL, 0);
    strcpy(other + 200, "seen from both");
    printf("%s\n", at + 200);
    shmctl(segment, IPC_STAT, &status);
    printf("%ld %lu\n", (long)status.shm_segsz, (unsigned long)status.shm_nattch);
    SHOW("in the way", (long)shmat(segment, at, 0) == -1 ? -1 : 0);
    SHOW("odd", (long)shmat(segment, at + 1, 0) == -1 ? -1 : 0);
    SHOW("removed", shmctl(segment, IPC_RMID, NULL));
    shmctl(segment, IPC_STAT, &status);
    printf("%o %d\n", status.shm_perm.mode, status.shm_perm.__key);
    SHOW("by its key", shmget(77, 0, 0));
    printf("still %s\n", at + 200);
    SHOW("one", shmdt(at));
    printf("still %s\n", other + 200);
    SHOW("other", shmdt(other));
    SHOW("gone", shmctl(segment, IPC_STAT, &status));
    segment = shmget(IPC_PRIVATE, 4096, 0600);
    at = shmat(segment, NULL, 0);
    shmctl(segment, IPC_RMID, NULL);
    SHOW("unmapped", munmap(at, 4096));
    SHOW("gone, too", shmctl(segment, IPC_STAT, &status));
}

/* Times, and numbers of processes, which stand in two columns, are others on each run. */
static void show_file(const char *path, int first, int last) {
    char line[512];
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        char *end = line;
        for (int column = 0; *end; column++) {
            char *blank = end, *at = end + strspn(end, " ");
            end = at + strcspn(at, " ");
            if (column >= first && column <= last)
                printf(" %s", *at == '0' ? "nobody" : "own");
            else if (strspn(at, "0123456789") == 10)
                printf(" time%s", *end ? "" : "\n");
            else
                printf("%.*s", (int)(end - blank), blank);
        }
    }
    if (file)
        fclose(file);
}

static void listed(void) {
    for (int round = 0; round < 2; round++) {
        show_file("/proc/sysvipc/msg", 5, 6);
        show_file("/proc/sysvipc/sem", 99, 99);
        show_file("/proc/sysvipc/shm", 4, 5);
        if (round)
            break;
        int key = 0x12345, queue = msgget(key, IPC_CREAT | 0640);
        msgsnd(queue, &(struct {
                   long type;
                   char text[5];
               }){1, "word"},
               5, 0);
        msgget(-7, IPC_CREAT | 7);
        semget(key, 3, IPC_CREAT | 0600), semget(IPC_PRIVATE, 1, 0);
        shmget(key, 5000, IPC_CREAT | 0666), shmget(-2000000000, 1, IPC_CREAT | 0400);
    }
}

int main(void) {
    listed();
    messages();
    semaphores();
    memory();
    return 0;
}
