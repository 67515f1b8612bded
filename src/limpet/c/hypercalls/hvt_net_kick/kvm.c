/* net_kick: each entry as if it were a hypercall of its own; reads are answered in the
 * ring, writes are not.  Indices run freely; the guest can write all of them. */
static struct ring_commit ring_read(const struct ring_entry *entry) {
    struct hvt_net_read read = {entry->handle, entry->data, entry->size, 0, 0};
    serve_hvt_net_read(&read);
    return (struct ring_commit){entry->id, read.ret, (u32)read.len, 0};
}

static void ring_write(const struct ring_entry *entry) {
    struct hvt_net_write write = {entry->handle, entry->data, entry->size, 0, 0};
    serve_hvt_net_write(&write);
    if (write.ret == SOLO5_EUNSPEC)
        refuse("limpet: a network of the guest's is gone, backend kvm\n");
}

static void serve_hvt_net_kick(void) {
    u32 head = RING->entries_head, left = RING->entries_tail - head;
    u32 answers = RING->commits_tail, unread = answers - RING->commits_head;
    for (; left && left <= RING_LENGTH; left--, head++) {
        struct ring_entry entry = RING->entries[head % RING_LENGTH]; /* copied once */
        if (entry.operation == RING_WRITE) {
            ring_write(&entry);
        } else if (entry.operation == RING_READ) {
            if (unread++ >= RING_LENGTH)
                break;
            RING->commits[answers++ % RING_LENGTH] = ring_read(&entry);
        }
    }
    if (left)
        refuse("limpet: the guest's network ring has an index out of range, backend kvm\n");
    RING->entries_head = head;
    RING->commits_tail = answers;
}
