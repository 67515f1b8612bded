/* net_read in a process: the stub is the system call itself. */
static void process_net_read(struct net_read *block) {
    block->result = HOST_STUB(net_read, read, NR_READ, (long)(DEVICE_FD + block->device),
                              (long)block->address, (long)block->length, 0, 0, 0);
}
