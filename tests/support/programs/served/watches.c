#define _GNU_SOURCE
#include "served.h"
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void show_events(int watcher, const char *what) {
    _Alignas(8) char bytes[8192];
    printf("  %s:", what);
    long size = read(watcher, bytes, sizeof bytes);
    for (long at = 0; at < size;) {
        const struct inotify_event *each = (struct inotify_event *)(bytes + at);
        printf(" %d:%x:%d:%u:%s", each->wd, each->mask, !!each->cookie, each->len,
               each->len ? each->name : "");
        at += (long)(sizeof *each + each->len);
    }
    printf(" (%s)\n", size < 0 ? "none" : "read");
}

static void touch(const char *name) {
    close(open(name, O_WRONLY | O_CREAT, 0600));
}

static void names_are_watched(void) {
    int watcher = inotify_init1(IN_NONBLOCK);
    mkdir("watched", 0700);
    SHOW("watch", inotify_add_watch(watcher, "watched", IN_ALL_EVENTS & ~IN_ACCESS));
    SHOW("again", inotify_add_watch(watcher, "watched", IN_ALL_EVENTS & ~IN_ACCESS));
    show_events(watcher, "nothing");
    touch("watched/a");
    show_events(watcher, "made");
    mkdir("watched/folder", 0700);
    symlink("a", "watched/link");
    link("watched/a", "watched/another-name-that-is-long");
    show_events(watcher, "more");
    rename("watched/a", "watched/b");
    show_events(watcher, "moved");
    touch("outside");
    rename("outside", "watched/b");
    show_events(watcher, "moved over");
    rename("watched/b", "outside");
    show_events(watcher, "moved out");
    unlink("outside");
    unlink("watched/link");
    unlink("watched/another-name-that-is-long");
    rmdir("watched/folder");
    show_events(watcher, "removed");
    rmdir("watched");
    show_events(watcher, "itself");
    SHOW("gone", inotify_rm_watch(watcher, 1));
    close(watcher);
}

static void content_is_watched(void) {
    int watcher = inotify_init1(IN_NONBLOCK);
    char byte;
    mkdir("watched", 0700);
    touch("watched/a");
    inotify_add_watch(watcher, "watched", IN_ALL_EVENTS);
    inotify_add_watch(watcher, "watched/a", IN_ALL_EVENTS);
    int fd = open("watched/a", O_RDWR);
    write(fd, "abc", 3);
    write(fd, "abc", 3);
    lseek(fd, 0, SEEK_SET);
    read(fd, &byte, 1);
    show_events(watcher, "used");
    ftruncate(fd, 1);
    fchmod(fd, 0644);
    futimens(fd, (struct timespec[2]){{1, 0}, {2, 0}});
    close(fd);
    show_events(watcher, "changed");
    close(open("watched/a", O_RDONLY));
    inotify_rm_watch(watcher, 1); /* file systems differ in who hears first that it is gone */
    unlink("watched/a");
    show_events(watcher, "gone");
    rmdir("watched");
    close(watcher);
}

static void watches_are_ready(void) {
    int watcher = inotify_init1(IN_NONBLOCK), epoll = epoll_create1(0), waiting = 0;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET}, told;
    inotify_add_watch(watcher, ".", IN_CREATE);
    epoll_ctl(epoll, EPOLL_CTL_ADD, watcher, &event);
    SHOW("nothing", epoll_wait(epoll, &told, 1, 0));
    touch("new");
    SHOW("made", epoll_wait(epoll, &told, 1, 0));
    printf("  events %x\n", told.events);
    SHOW("once", epoll_wait(epoll, &told, 1, 0));
    struct pollfd same = {watcher, POLLIN | POLLOUT, 0};
    SHOW("poll", poll(&same, 1, -1));
    printf("  events %x\n", same.revents);
    SHOW("bytes", ioctl(watcher, FIONREAD, &waiting));
    char few[16];
    printf("  %d\n", waiting);
    SHOW("too few", read(watcher, few, sizeof few));
    unlink("new");
    close(epoll);
    close(watcher);
}

static void watches_are_checked(void) {
    int watcher = inotify_init1(IN_NONBLOCK), ends[2];
    char few[16];
    pipe(ends);
    SHOW("flags", inotify_init1(1));
    SHOW("nothing", inotify_add_watch(watcher, ".", 0));
    SHOW("closed", inotify_add_watch(99, ".", IN_CREATE));
    SHOW("a pipe", inotify_add_watch(ends[0], ".", IN_CREATE));
    SHOW("no such file", inotify_add_watch(watcher, "none", IN_CREATE));
    touch("file-to-watch");
    SHOW("no folder", inotify_add_watch(watcher, "file-to-watch", IN_CREATE | IN_ONLYDIR));
    SHOW("both", inotify_add_watch(watcher, ".", IN_CREATE | IN_MASK_ADD | IN_MASK_CREATE));
    SHOW("first", inotify_add_watch(watcher, ".", IN_DELETE | IN_MASK_CREATE));
    SHOW("second", inotify_add_watch(watcher, ".", IN_CREATE | IN_MASK_CREATE));
    SHOW("added", inotify_add_watch(watcher, ".", IN_CREATE | IN_MASK_ADD));
    SHOW("once", inotify_add_watch(watcher, "file-to-watch", IN_ATTRIB | IN_ONESHOT));
    chmod("file-to-watch", 0600);
    chmod("file-to-watch", 0640);
    unlink("file-to-watch");
    show_events(watcher, "all");
    SHOW("remove", inotify_rm_watch(watcher, 1));
    SHOW("again", inotify_rm_watch(watcher, 1));
    SHOW("closed", inotify_rm_watch(99, 1));
    SHOW("a pipe", inotify_rm_watch(ends[0], 1));
    show_events(watcher, "ignored");
    SHOW("empty", read(watcher, few, 16));
    SHOW("write", write(watcher, few, 1));
    close(watcher);
}

const struct served_case watches[] = {{"names_are_watched", names_are_watched},
                                      {"content_is_watched", content_is_watched},
                                      {"watches_are_ready", watches_are_ready},
                                      {"watches_are_checked", watches_are_checked},
                                      {NULL, NULL}};
