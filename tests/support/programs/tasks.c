/* What /proc says of threads, as lines that are the same natively and in a guest. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static void show(const char *path) {
    char text[300] = "";
    int fd = open(path, O_RDONLY);
    read(fd, text, sizeof text - 1);
    close(fd);
    printf("%s: %s", path, text);
}

static void count(void) {
    DIR *folder = opendir("/proc/self/task");
    int threads = 0;
    for (struct dirent *each; (each = readdir(folder));)
        threads += each->d_name[0] != '.';
    closedir(folder);
    printf("threads %d\n", threads);
}

static void *work(void *unused) {
    char found[99] = "", expected[99];
    prctl(PR_SET_NAME, "worker");
    readlink("/proc/thread-self", found, sizeof found - 1);
    snprintf(expected, sizeof expected, "%d/task/%ld", getpid(), syscall(SYS_gettid));
    printf("thread-self %d\n", !strcmp(found, expected));
    show("/proc/thread-self/comm");
    show("/proc/self/comm");
    count();
    pthread_mutex_lock(&held);
    return unused;
}

int main(void) {
    pthread_t thread;
    pthread_mutex_lock(&held);
    pthread_create(&thread, NULL, work, NULL);
    usleep(300000);
    count();
    pthread_mutex_unlock(&held);
    pthread_join(thread, NULL);
    usleep(20000); /* until the kernel has forgotten it */
    count();
    show("/proc/thread-self/comm");
    return 0;
}
