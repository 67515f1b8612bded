/* /proc/sysvipc: the heads of its tables; the rest is parts/sysv's, if there is any. */
#include "parts/world/rows.h"
#include "parts/world/world.h"

void (*sysv_rows[ROWS_KINDS])(struct text *to);

static void make(struct text *to, void (*rows)(struct text *to), const char *head) {
    text_put(to, head);
    if (rows)
        rows(to);
}

static void make_queues(struct text *to, u64 number) {
    (void)number;
    make(to, sysv_rows[ROWS_OF_QUEUES],
         "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid"
         "      stime      rtime      ctime\n");
}

static void make_sets(struct text *to, u64 number) {
    (void)number;
    make(to, sysv_rows[ROWS_OF_SETS],
         "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
}

static void make_segments(struct text *to, u64 number) {
    (void)number;
    make(to, sysv_rows[ROWS_OF_SEGMENTS],
         "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid"
         "  cgid      atime      dtime      ctime                   rss                  swap\n");
}

const struct standard sysvipc_names[] = {
    MADE("msg", make_queues), MADE("sem", make_sets), MADE("shm", make_segments), {0}};
