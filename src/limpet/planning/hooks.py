"""Hooks: the places where a monitor calls its features, as ``feature.toml`` names them."""

from __future__ import annotations

from collections.abc import Mapping

HOOKS: Mapping[str, str] = {
    "opened": "first of all",
    "first": "before the command line is looked at",
    "help": "a line for each option of the bundle's command line, where it has --help",
    "words": "takes words of the bundle's own from the command line: `u64 *stack`",
    "option": "whether the feature knows a word of the command line: `const char *word`",
    "options_taken": "behind the last of those words",
    "placed": "devices are at their places: whatever else is open behind them is closed",
    "prepared": "the guest's memory is there and its arguments are in it",
    "complete": "before the filter is installed",
    "vcpu": "the virtual processor has its registers: `int vcpu`",
    "ended": "a run of the virtual processor has ended, whatever for",
    "interrupted": "a signal ended a run of the virtual processor",
    "filled": "the monitor has written memory of the guest's: `u64 at, u64 size`",
    "rewound": "the guest is as it was kept, and its time has been another's",
    "served": "a hypercall has been served, and the guest goes on",
    "made": "a hypercall was made: `u32 number`",
    "brought": "one has brought so many bytes, or -errno: `long count`",
    "taken": "one has taken so many along, or -errno: `long count`",
    "fenced": "Landlock's rule set, before it holds: `long rules, u64 files`, the rights it keeps",
    "isolate": "the walls: while the monitor still has the rights of its starter",
    "walls": "the walls: what needs none of them: `u64 scopes`, what Landlock keeps from it",
    "rights": "the walls: gives up those rights",
    "walled": "behind the walls, before the filter is installed",
    "no_kvm": "/dev/kvm cannot be opened: `int kvm_fd` is the error",
}
"""Where the start of a monitor calls its features, in the order in which it comes there."""
