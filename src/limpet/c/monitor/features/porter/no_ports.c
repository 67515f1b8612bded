/* A guest without ports of UDP has only endpoints. */
static void open_carriers(long *ports, long *pairs) {
    (void)ports, (void)pairs;
}

static void await_ports(const struct porter *porter, struct pollfd *fds) {
    (void)porter, (void)fds;
}

static void carry_all(struct porter *porter, const struct pollfd *fds) {
    (void)porter, (void)fds;
}

static struct peers *peers_of_ports(void) {
    return NULL;
}
