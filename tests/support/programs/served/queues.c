#define _GNU_SOURCE
#include "served.h"
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAME own_name()

static void queues_have_names(void) {
    struct mq_attr some = {.mq_maxmsg = 3, .mq_msgsize = 8},
                   odd = {.mq_maxmsg = 0, .mq_msgsize = 8};
    mq_unlink(NAME);
    SHOW("none", mq_open(NAME, O_RDWR));
    SHOW("odd", mq_open(NAME, O_RDWR | O_CREAT, 0600, &odd));
    mqd_t own = mq_open(NAME, O_RDWR | O_CREAT | O_NONBLOCK, 0600, &some);
    SHOW("again", mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, &some));
    SHOW("folder", mq_open("/a/b", O_RDWR | O_CREAT, 0600, &some));
    SHOW("dots", mq_open("/..", O_RDWR | O_CREAT, 0600, &some));
    char longest[300];
    memset(longest, 'n', sizeof longest);
    longest[0] = '/', longest[299] = 0;
    SHOW("long", mq_open(longest, O_RDWR | O_CREAT, 0600, &some));
    struct mq_attr now = {0}, wish = {.mq_flags = 0};
    SHOW("attributes", mq_getattr(own, &now));
    printf("  %lx %ld %ld %ld\n", now.mq_flags, now.mq_maxmsg, now.mq_msgsize, now.mq_curmsgs);
    SHOW("set", mq_setattr(own, &wish, &now));
    SHOW("get", mq_getattr(own, &now));
    printf("  %lx\n", now.mq_flags);
    wish.mq_flags = 1;
    SHOW("odd", mq_setattr(own, &wish, NULL));
    struct stat stat;
    SHOW("stat", fstat(own, &stat));
    printf("  %o %ld\n", stat.st_mode, (long)stat.st_size);
    SHOW("flags", fcntl(own, F_GETFD));
    SHOW("unlink", mq_unlink(NAME));
    SHOW("gone", mq_unlink(NAME));
    SHOW("still", mq_send(own, "a", 1, 0));
    SHOW("close", mq_close(own));
    SHOW("closed", mq_getattr(own, &now));
    mqd_t usual = mq_open(NAME, O_RDONLY | O_CREAT, 0600, NULL);
    mq_getattr(usual, &now);
    printf("  %ld %ld\n", now.mq_maxmsg, now.mq_msgsize);
    SHOW("reader", mq_send(usual, "a", 1, 0));
    mq_close(usual);
    mq_unlink(NAME);
}

static void the_urgent_come_first(void) {
    struct mq_attr some = {.mq_maxmsg = 3, .mq_msgsize = 8};
    struct timespec past = {1, 0}, odd = {1, -1};
    char bytes[16] = {0};
    unsigned priority = 0;
    mqd_t own = mq_open(NAME, O_RDWR | O_CREAT | O_NONBLOCK, 0600, &some);
    struct pollfd ready = {own, POLLIN | POLLOUT, 0};
    SHOW("poll", poll(&ready, 1, 0));
    printf("  %x\n", ready.revents);
    SHOW("empty", mq_receive(own, bytes, 16, NULL));
    SHOW("small", mq_receive(own, bytes, 7, NULL));
    SHOW("first", mq_send(own, "one", 3, 1));
    SHOW("second", mq_send(own, "two", 3, 5));
    SHOW("third", mq_send(own, "three", 5, 1));
    SHOW("full", mq_send(own, "four", 4, 1));
    SHOW("poll", poll(&ready, 1, 0));
    printf("  %x\n", ready.revents);
    SHOW("large", mq_send(own, "123456789", 9, 1));
    SHOW("priority", mq_send(own, "a", 1, 32768));
    for (int i = 0; i < 3; i++) {
        memset(bytes, 0, sizeof bytes);
        SHOW("receive", mq_receive(own, bytes, 16, &priority));
        printf("  %s %u\n", bytes, priority);
    }
    SHOW("nothing", mq_send(own, NULL, 0, 0));
    SHOW("nothing", mq_receive(own, bytes, 16, NULL));
    mq_close(own);
    own = mq_open(NAME, O_RDWR);
    SHOW("late", mq_timedreceive(own, bytes, 16, NULL, &past));
    SHOW("odd", mq_timedreceive(own, bytes, 16, NULL, &odd));
    mq_close(own);
    mq_unlink(NAME);
}

static volatile int told, value, code;

static void tell(int number, siginfo_t *info, void *context) {
    told = number, value = info->si_value.sival_int, code = info->si_code;
    (void)context;
}

static void one_is_told_of_a_message(void) {
    struct sigaction action = {.sa_sigaction = tell, .sa_flags = SA_SIGINFO};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    event.sigev_value.sival_int = 7;
    char bytes[8192];
    mqd_t own = mq_open(NAME, O_RDWR | O_CREAT | O_NONBLOCK, 0600, NULL);
    sigaction(SIGUSR1, &action, NULL);
    SHOW("notify", mq_notify(own, &event));
    SHOW("again", mq_notify(own, &event));
    SHOW("send", mq_send(own, "a", 1, 0));
    printf("  told %d value %d code %d\n", told, value, code);
    told = 0;
    SHOW("notify", mq_notify(own, &event));
    SHOW("not empty", mq_send(own, "a", 1, 0));
    printf("  told %d\n", told);
    SHOW("forget", mq_notify(own, NULL));
    mq_receive(own, bytes, sizeof bytes, NULL);
    mq_receive(own, bytes, sizeof bytes, NULL);
    SHOW("send", mq_send(own, "a", 1, 0));
    printf("  told %d\n", told);
    event.sigev_signo = 99;
    SHOW("odd", mq_notify(own, &event));
    mq_close(own);
    mq_unlink(NAME);
}

static void *send_later(void *queue) {
    usleep(2000);
    mq_send(*(mqd_t *)queue, "later", 5, 3);
    return NULL;
}

static void who_waits_is_woken(void) {
    char bytes[8192] = {0};
    pthread_t thread;
    mqd_t own = mq_open(NAME, O_RDWR | O_CREAT, 0600, NULL);
    pthread_create(&thread, NULL, send_later, &own);
    SHOW("receive", mq_receive(own, bytes, sizeof bytes, NULL));
    printf("  %s\n", bytes);
    pthread_join(thread, NULL);
    mq_close(own);
    mq_unlink(NAME);
}

const struct served_case queues[] = {{"queues_have_names", queues_have_names},
                                     {"the_urgent_come_first", the_urgent_come_first},
                                     {"one_is_told_of_a_message", one_is_told_of_a_message},
                                     {"who_waits_is_woken", who_waits_is_woken},
                                     {NULL, NULL}};
