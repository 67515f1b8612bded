/* net_write in a process: the stub is the system call itself. */
static void process_net_write(struct net_write *block) {
    block->result = HOST_STUB(net_write, write, NR_WRITE, (long)(DEVICE_FD + block->device),
                              (long)block->address, (long)block->length, 0, 0, 0);
}
