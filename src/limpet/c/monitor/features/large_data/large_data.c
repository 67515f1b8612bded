/* The program's largest writable segment: copied page by page when it is first touched, each time
 * behind an exit, and then again behind one to be written.  KVM also maps eight pages at an exit
 * where all of them are there and may be written.  A kernel before 5.14 does not know the request,
 * and the guest is only slower. */
static void bring_data(void) {
    host3(NR_MADVISE, (long)DATA_LO, (long)(DATA_HI - DATA_LO), MADV_POPULATE_WRITE);
}
