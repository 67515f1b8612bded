/* What is generated for the volumes of one guest. */
#ifndef LIMPET_VOLUMES_REACH_H
#define LIMPET_VOLUMES_REACH_H

#include "contract.h"

/* Their hypercalls, so that only the plan brings them in. */
struct volume_host {
    void (*open)(struct volume_open *block);
    void (*close)(struct volume_close *block);
    void (*read)(struct volume_read *block);
    void (*list)(struct volume_list *block);
    void (*link)(struct volume_link *block);
    void (*tell)(struct volume_tell *block);
    void (*write)(struct volume_write *block);
    void (*set)(struct volume_set *block);
    void (*name)(struct volume_name *block); /* on kvm */
    void (*ask)(struct volume_ask *block);   /* in a process */
    void (*lock)(struct volume_lock *block);
};
extern const struct volume_host volume_host;
extern u64 exits_made;                    /* on kvm: so many hypercalls so far */
extern const u16 volume_modes[HOW_MODES]; /* that a new file can have at once */

/* NULL where the plan has none. */
struct volumes;
extern const struct volumes own_volumes;
extern const struct volumes *const guest_volumes;

void volumes_settle(void);       /* before the guest waits: the gates of what waits do it */
const char *volumes_unfit(void); /* for a snapshot; NULL: nothing keeps the guest from one */

#endif
