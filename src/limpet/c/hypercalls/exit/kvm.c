/* exit on kvm. */
static void serve_exit(struct guest_exit *block) {
    host3(NR_EXIT_GROUP, block->code & EXIT_MOST, block->registers, 0);
}
