#include "core/alarm.h"
#include "libos.h"

struct alarms alarms;

void alarms_look(void) {
    if (!(alarms.at | alarms.busy) || !guest_time)
        return;
    s64 now = (s64)guest_time->monotonic();
    if ((alarms.at && now >= alarms.at) || (alarms.busy && now - (s64)alarms.slept >= alarms.busy))
        alarms.ring(now);
}
