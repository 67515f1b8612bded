/* Setting the times of files. */
#include "parts/files/node.h"

#define UTIME_NOW 0x3fffffffL
#define UTIME_OMIT 0x3ffffffeL
#define MOST_SECONDS 9223372035L /* as nanoseconds in 64 bits */

static bool is_time(const struct linux_timespec *time) {
    return time->nanoseconds == UTIME_OMIT || time->nanoseconds == UTIME_NOW ||
           (u64)time->nanoseconds < NANOSECONDS;
}

static void set_time(s64 *to, const struct linux_timespec *time) {
    if (time->nanoseconds == UTIME_NOW)
        *to = (s64)file_time();
    else if (time->nanoseconds != UTIME_OMIT)
        *to =
            MIN(MAX(time->seconds, -MOST_SECONDS), MOST_SECONDS) * NANOSECONDS + time->nanoseconds;
}

long sys_utimensat(long directory, long path, long given, long flags) {
    static const struct linux_timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    const struct linux_timespec *times = given ? (const struct linux_timespec *)given : now;
    struct node *node = NULL;
    struct file *file;
    if (times[0].nanoseconds == UTIME_OMIT && times[1].nanoseconds == UTIME_OMIT)
        return 0; /* Linux does not even look at the path */
    bool of_descriptor = !path && (s32)directory != AT_FDCWD;
    if ((u32)flags & (of_descriptor ? ~0U : ~(u32)AT_FLAGS))
        return -EINVAL;
    if (!path && !of_descriptor)
        return -EFAULT;
    long error = node_at(directory, path, path ? flags : AT_EMPTY_PATH, &node, &file);
    if (error)
        return error;
    if (!is_time(&times[0]) || !is_time(&times[1]))
        return -EINVAL;
    const struct naming what = {.what = NAME_TIMES, .times = times};
    if (!node)
        return without_node(file, &what);
    bool touches = times[0].nanoseconds == UTIME_NOW && times[1].nanoseconds == UTIME_NOW;
    error = users ? users->owns(node) : 0;
    if (error && touches)
        error = users->may(node, MAY_WRITE);
    if (error)
        return error;
    set_time(&node->accessed, &times[0]);
    set_time(&node->modified, &times[1]);
    node->changed = (s64)file_time();
    node_changed(node, CHANGED_ATTRIBUTES);
    return 0;
}

static long set_microseconds(long directory, long path, long times) {
    struct linux_timespec exact[2];
    const struct linux_timeval *given = (const struct linux_timeval *)times;
    for (int i = 0; given && i < 2; i++) {
        s64 microseconds = given[i].microseconds;
        if ((u64)microseconds >= 1000000)
            return -EINVAL;
        exact[i] = (struct linux_timespec){given[i].seconds, microseconds * 1000};
    }
    return sys_utimensat(directory, path, given ? (long)exact : 0, 0);
}

long sys_futimesat(long directory, long path, long times) {
    return set_microseconds(directory, path, times);
}

long sys_utimes(long path, long times) {
    return set_microseconds(AT_FDCWD, path, times);
}

long sys_utime(long path, long times) {
    struct linux_timespec exact[2];
    const s64 *given = (const s64 *)times;
    for (int i = 0; given && i < 2; i++)
        exact[i] = (struct linux_timespec){given[i], 0};
    return sys_utimensat(AT_FDCWD, path, given ? (long)exact : 0, 0);
}
