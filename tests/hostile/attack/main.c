/* Which attack: the last of the files, which are one text. */
#define NAMED(attack) {#attack, attack}

static const struct {
    const char *name;
    attack *run;
} attacks[] = {INSTRUCTIONS,          NAMED(peek),
               NAMED(poke),           NAMED(run),
               NAMED(poke_text),      NAMED(poke_constant),
               NAMED(run_data),       NAMED(run_stack),
               NAMED(run_heap),       NAMED(patch),
               NAMED(exhaust_stack),  NAMED(set_stack),
               NAMED(exhaust_memory), NAMED(alignment_check),
               NAMED(alignment_call), NAMED(alignment_fault),
               NAMED(single_step),    NAMED(single_step_call),
               NAMED(nested_task),    NAMED(input_output_level),
               NAMED(all_interrupts), NAMED(one_interrupt),
               NAMED(all_ports),      NAMED(one_port),
               NAMED(block),          NAMED(device_block),
               NAMED(batch),          NAMED(blocks),
               NAMED(forged_device),  NAMED(call),
               NAMED(jump_call),      NAMED(find_calls),
               NAMED(ask_ring_0),     NAMED(use_up_tables),
               NAMED(all_calls),      NAMED(all_pointers),
               NAMED(transfers),      NAMED(vector_over_itself),
               NAMED(auxiliary),      NAMED(scribble),
               NAMED(forged_frame),   NAMED(short_interrupt),
               NAMED(short_syscall),  NAMED(short_sysenter),
               NAMED(spin),           NAMED(sleep_on),
               NAMED(fault_loop),     NAMED(call_loop),
               NAMED(flood),          NAMED(ready)};

int main(int argc, char **argv) {
    static u64 numbers[4096];
    for (int i = 2; i < argc && i < 4096; i++)
        numbers[i - 2] = strtoull(argv[i], NULL, 0);
    for (size_t i = 0; argc > 1 && i < sizeof attacks / sizeof attacks[0]; i++)
        if (strcmp(argv[1], attacks[i].name) == 0) {
            attacks[i].run(numbers);
            puts("survived");
            return 0;
        }
    return 99;
}
