/* Nobody asks a porter that has ports alone. */
static long open_asks(void) {
    return -1;
}

static void hear_guest(struct porter *porter) {
    (void)porter;
}
