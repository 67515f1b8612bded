/* /proc/PID/task, and /proc/thread-self, which leads to the thread that asks. */
#include "parts/world/world.h"

/* /proc/PID/task: as the threads are now. */
void threads_load(struct node *directory) {
    for (struct entry *each = directory->first, *next; each; each = next) {
        next = each->next;
        if (!thread_of((long)each->node->number))
            directory_remove(directory, each);
    }
    for (const struct thread *each = threads; each; each = each->next) {
        struct text name = {0};
        text_number(&name, (u64)each->id);
        text_bytes(&name, "", 1);
        const struct standard folder = FOLDER(name.bytes, 0555, thread_names);
        if (!name.cut && !directory_find(directory, name.bytes, name.used - 1))
            standard_add(directory, &folder, (u64)each->id);
        heap_free(name.bytes);
    }
}

static struct node *below(struct node *directory, const char *name, u64 length) {
    struct entry *entry =
        directory && is_directory(directory) ? directory_find(directory, name, length) : NULL;
    return entry ? entry->node : NULL;
}

struct node *own_thread_folder(void) {
    struct text name = {0};
    text_number(&name, (u64)current->id);
    struct node *process = below(below(tree_root(), "proc", 4), "1", 1);
    struct node *found = name.cut ? NULL : below(below(process, "task", 4), name.bytes, name.used);
    heap_free(name.bytes);
    return found;
}
