/* Landlock knows ports of TCP, not addresses: a second wall behind the filter, which knows both. An
 * older one knows neither, and refuses the rule.  A parent beside the guest's process connects
 * nowhere.
 */
enum { RULE_OF_PORT = 2, MAY_CONNECT = 2 };

static void allow_endpoints(long rules) {
    const struct outside_address *ends = (const struct outside_address *)ENDPOINTS;
    long there = host3(NR_FCNTL, EVENTS_FD, F_GETFD, 0);
    for (u64 i = 0; i < ENDPOINT_COUNT && there >= 0; i++) {
        const struct {
            u64 rights, port;
        } rule = {MAY_CONNECT, (u64)ends[i].address[2] << 8 | ends[i].address[3]};
        host4(NR_LANDLOCK_ADD_RULE, rules, RULE_OF_PORT, (long)&rule, 0);
    }
}
