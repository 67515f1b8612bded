/* No --timeout. */
static void start_timeout(void) {
}
