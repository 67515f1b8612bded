#include "parts/system/name.h"
#include "core/thread.h"

static const char *file_name(void) {
    const char *name = (const char *)guest_info.name;
    for (const char *at = name; *at; at++)
        if (*at == '/')
            name = at + 1;
    return name;
}

void thread_name(const struct thread *thread, char to[THREAD_NAME]) {
    const char *from = thread->name[0] ? thread->name : file_name();
    memset(to, 0, THREAD_NAME);
    memcpy(to, from, MIN(strlen(from), THREAD_NAME - 1));
}

void thread_set_name(struct thread *thread, const char from[THREAD_NAME]) {
    memcpy(thread->name, from, THREAD_NAME);
}
