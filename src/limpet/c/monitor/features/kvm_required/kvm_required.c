/* What a monitor without another backend says when /dev/kvm cannot be opened. */
static _Noreturn void no_kvm(int error) {
    if (error == -HOST_EACCES)
        die(EXIT_CANNOT_START, "limpet: /dev/kvm: permission denied: join the group kvm, or "
                               "build with --backend process\n");
    if (error == -HOST_ENOENT)
        die(EXIT_CANNOT_START, "limpet: /dev/kvm: not there: enable virtualization, or build "
                               "with --backend process\n");
    die(EXIT_CANNOT_START, "limpet: /dev/kvm: cannot be opened: run `limpet doctor`, or build "
                           "with --backend process\n");
}
