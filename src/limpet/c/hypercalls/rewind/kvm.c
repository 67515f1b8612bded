/* rewind on kvm: it is done once this has been answered, since the answer is kept too. */
#include "features/rewind/state.h"

static void serve_rewind(struct rewind *block) {
    block->result = REWINDING->takes ? 0 : -HOST_EPERM;
    REWINDING->asked = REWINDING->takes;
    REWINDING->word = block->word;
}
