/* XCR0: which registers the guest may use beyond SSE's. */
static void give_extended_state(int vcpu) {
    if (host3(NR_IOCTL, vcpu, KVM_SET_XCRS, (long)KVM_XCRS) < 0)
        die(EXIT_CANNOT_START, "limpet: KVM refuses the processor's vector registers: build "
                               "with --cpu v2\n");
}
