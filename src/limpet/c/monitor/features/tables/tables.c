/* Where ring 0 of the guest takes page tables from; none is there until it is touched.  No address
 * of a hypercall leads there: it lies behind GUEST_HI. */
static void give_tables(void) {
    map_memory(TABLES_LO, TABLES_HI);
}
