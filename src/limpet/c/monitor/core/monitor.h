/* What the files of a monitor share.  The plan's constants come from plan.h. */
#ifndef LIMPET_MONITOR_H
#define LIMPET_MONITOR_H

#include "host.h"
#include "plan.h" /* generated: addresses and limits of this one bundle */

/* Landlock's scopes: abstract sockets, signals. */
enum { SCOPES = 3 };

static size_t length(const char *text) {
    size_t n = 0;
    while (text[n])
        n++;
    return n;
}

static _Noreturn void die(int status, const char *line) {
    host3(NR_WRITE, STDERR, (long)line, (long)length(line));
    for (;;)
        host3(NR_EXIT_GROUP, status, 0, 0);
}

#endif
