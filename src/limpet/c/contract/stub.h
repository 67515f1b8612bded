/*
 * A host system call that the process backend's guest may make.  Each is a function
 * of its own whose SYSCALL is followed by the label host_HYPERCALL_CALL: the filter
 * demands that instruction pointer.
 */
#ifndef LIMPET_STUB_H
#define LIMPET_STUB_H

#include "host.h"

#define HOST_STUB(hypercall, call, ...) stub_##hypercall##_##call(__VA_ARGS__)

#include "stub_define.h"

#endif
