/* Lines of /proc/sysvipc.  What was never made has none, and is not linked. */
#ifndef LIMPET_SYSV_ROWS_H
#define LIMPET_SYSV_ROWS_H

#include "parts/sysv/sysv.h"
#include "parts/world/rows.h"
#include "parts/world/text.h"

struct ipc_column {
    u64 value, width;
};

void ipc_rows(const struct ipc_table *table, struct text *to,
              void (*rest)(struct text *to, const struct ipc *ipc));
void ipc_columns(struct text *to, const struct ipc_column *columns, u64 count);

#define IPC_OWNERS(permissions_)                                                                   \
    {(permissions_).uid, 5}, {(permissions_).gid, 5}, {(permissions_).creator_uid, 5},             \
        {(permissions_).creator_gid, 5}

#endif
