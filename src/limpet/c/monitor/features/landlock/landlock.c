/*
 * Landlock (uapi linux/landlock.h): rights that are handled and given by no rule are refused, to
 * this process for good.  What is open already keeps working.
 */
enum { LANDLOCK_VERSION = 1 };

struct rights {
    u64 files, ports, scopes;
};

/* What each version of the interface knows, from 0: no Landlock. */
static const struct rights known_rights[LANDLOCK_NEWEST + 1] = LANDLOCK_RIGHTS;

/* Which rights are given up, of those that the host knows: a parent that still has a child to start
 * keeps files and ports. */
static void fence(u64 files, u64 ports, u64 scopes) {
    long version = host3(NR_LANDLOCK_CREATE_RULESET, 0, 0, LANDLOCK_VERSION);
    if (STRICT && version < LANDLOCK_NEWEST)
        die(EXIT_CANNOT_START, "limpet: --strict: the host has no Landlock, or an old one: run "
                               "`limpet doctor`\n");
    if (version <= 0)
        return;
    struct rights handled = known_rights[version < LANDLOCK_NEWEST ? version : LANDLOCK_NEWEST];
    handled.files &= files, handled.ports &= ports, handled.scopes &= scopes;
    if (!(handled.files | handled.ports | handled.scopes))
        return;
    long rules = host3(NR_LANDLOCK_CREATE_RULESET, (long)&handled, sizeof handled, 0);
    fence_made(rules, handled.files);
    long refused = host3(NR_LANDLOCK_RESTRICT_SELF, rules, 0, 0);
    if (STRICT)
        must(refused);
    host3(NR_CLOSE, rules, 0, 0);
}
