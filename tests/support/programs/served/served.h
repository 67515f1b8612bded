/* What Linux serves, sentence by sentence: each case prints what every call gave. */
#ifndef SERVED_H
#define SERVED_H

#include <errno.h>
#include <stdio.h>

#define SHOW(what, call)                                                                           \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long got_ = (long)(call);                                                                  \
        printf("%s: %ld %d\n", what, got_, got_ == -1 ? errno : 0);                                \
    } while (0)

struct served_case {
    const char *name;
    void (*run)(void);
};

/* Each ends with one that has no name. */
extern const struct served_case events[], files[], kinds[], arguments[], signals[], watches[],
    queues[], limits[];

int new_file(int size);     /* without a name */
const char *own_name(void); /* of what the whole machine names */

#endif
