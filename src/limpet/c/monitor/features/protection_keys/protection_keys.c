/* Code that may not be read has a protection key.  Without keys, in the processor or in
 * KVM, it can be: `limpet doctor` says so. */
static void give_keys(int vcpu) {
    if (host3(NR_PKEY_ALLOC, 0, 0, 0) >= 0 &&
        host3(NR_IOCTL, vcpu, KVM_SET_SREGS, (long)KVM_SREGS_KEYS) >= 0)
        *(u32 *)KEY_RIGHTS = DENY_EXECUTE_ONLY;
}
