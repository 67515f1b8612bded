/* No block device: the plan's filter is complete. */
static void fill_filter(void) {
}
