#include "core/alarm.h"
#include "libos.h"

void alarms_look(void) {
    if (!(alarms.at | alarms.busy) || !guest_time)
        return;
    s64 now = (s64)guest_time->monotonic();
    if ((alarms.at && now >= alarms.at) || (alarms.busy && busy_time((u64)now) >= alarms.busy))
        alarms.ring(now);
}
