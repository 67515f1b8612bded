/* Signals to threads and to all of them, and threads that are cancelled. */
#include "threads.h"

static sem_t full, empty;

static volatile sig_atomic_t taken[4];
static volatile pid_t taker;
static void note(int number) {
    taken[number == SIGUSR1 ? 0 : number == SIGUSR2 ? 1 : 2]++;
    taker = (pid_t)syscall(SYS_gettid);
}
static void handle(int number, int flags) {
    struct sigaction action = {.sa_handler = note, .sa_flags = flags};
    sigaction(number, &action, NULL);
}
static int pipes[2];
static volatile pid_t reader_id;
static void *read_pipe(void *own) {
    char byte = 0;
    reader_id = (pid_t)syscall(SYS_gettid);
    long got = read(pipes[0], &byte, 1);
    printf("read %ld %s taken %d %d by %s\n", got, got < 0 ? strerror(errno) : "", taken[0],
           taken[1], taker == reader_id ? "itself" : "another");
    return own;
}
void signals_to(void) {
    pthread_t thread;
    CHECK(!pipe(pipes));
    handle(SIGUSR1, SA_RESTART), handle(SIGUSR2, 0);
    start(&thread, read_pipe, 0);
    settle();
    pthread_kill(thread, SIGUSR1); /* it goes on to read */
    settle();
    CHECK(write(pipes[1], "x", 1) == 1);
    join(thread);
    start(&thread, read_pipe, 0);
    settle();
    pthread_kill(thread, SIGUSR2); /* it does not */
    join(thread);
    CHECK(pthread_kill(pthread_self(), 0) == 0);
    CHECK(syscall(SYS_tgkill, getpid(), 99999, SIGUSR1) == -1 && errno == ESRCH);
    printf("self %d\n", raise(SIGUSR1) || taker != getpid());
}

static void *take_signal(void *own) {
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR1);
    int got = 0, error = sigwait(&set, &got);
    printf("sigwait %d %d\n", error, got == SIGUSR1);
    return own;
}
static void *open_to(void *own) {
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    reader_id = (pid_t)syscall(SYS_gettid);
    while (!taken[1])
        usleep(1000);
    return own;
}
void signals_of_all(void) {
    pthread_t thread;
    sigset_t set, before;
    sigemptyset(&set), sigaddset(&set, SIGUSR1), sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    handle(SIGUSR1, 0), handle(SIGUSR2, 0);
    start(&thread, take_signal, 0);
    settle();
    kill(getpid(), SIGUSR1);
    join(thread);
    start(&thread, open_to, 0);
    settle();
    kill(getpid(), SIGUSR2); /* to the one that does not block it */
    join(thread);
    printf("taken %d %d by %s\n", taken[0], taken[1], taker == reader_id ? "it" : "another");
    kill(getpid(), SIGUSR1);
    sigpending(&set);
    printf("pending %d\n", sigismember(&set, SIGUSR1));
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    printf("taken %d\n", taken[0]);
}

static int cleaned;
static void clean(void *value) {
    cleaned += (int)(long)value;
}
static void *wait_for_ever(void *own) {
    pthread_cleanup_push(clean, (void *)1);
    sem_post(&empty);
    char byte;
    long how = (long)own;
    if (how == 0)
        pause();
    else if (how == 1)
        CHECK(read(pipes[0], &byte, 1) < 0);
    else if (how == 2) {
        pthread_cleanup_push((void (*)(void *))pthread_mutex_unlock, &lock);
        pthread_mutex_lock(&lock);
        for (;;)
            pthread_cond_wait(&changed, &lock);
        pthread_cleanup_pop(1);
    } else if (how == 3)
        sem_wait(&full);
    else if (how == 4)
        sleep(1000);
    else
        for (;;)
            pthread_testcancel(), sched_yield();
    pthread_cleanup_pop(1);
    return NULL;
}
void cancels(void) {
    CHECK(!pipe(pipes));
    sem_init(&full, 0, 0);
    for (long how = 0; how < 6; how++) {
        pthread_t thread;
        sem_init(&empty, 0, 0);
        start(&thread, wait_for_ever, how);
        sem_wait(&empty);
        settle();
        CHECK(!pthread_cancel(thread));
        int canceled = join(thread) == (long)PTHREAD_CANCELED;
        printf("canceled %d cleaned %d\n", canceled, cleaned);
    }
    CHECK(!pthread_mutex_trylock(&lock));
}
