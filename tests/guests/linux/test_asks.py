"""Calls about the process and its machine against the kernel, with random arguments.

Both without capabilities.  Not compared, since Limpet differs on purpose: who is process 1 and
leads a session and a group, and how many processors there are.
"""

from __future__ import annotations

import os
import random
import subprocess

import pytest

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Backend
from tests.support import SUPPORT
from tests.support.bundles import Maker

pytestmark = pytest.mark.slow

NOBODY = "99999999"
PID = ["0", "0", "self", "self", "-1", "-5", NOBODY, "0x100000000", "-2147483648"]
SIGNED = ["0", "1", "2", "3", "5", "6", "-1", "100", "0x40000000", "0x40000003", "0x100000001"]
PRIORITY = ["p0", "p0", "p1", "p99", "p100", "p0xffffffff", "0"]
ID = ["0", "0", "-1", "1000", "0xffffffff", "0x100000000", "65534"]
SIZES = ["0", "1", "7", "8", "16", "47", "48", "56", "64", "4096", "4097", "-1", "0x100000008"]
FLAGS = ["0", "0", "1", "2", "3", "4", "8", "0x10", "0x80000000", "0xffffffff", "0x1000004"]
VERSIONS = ["0x19980330", "0x20071026", "0x20080522", "0", "1"]
OPTIONS = [*map(str, range(1, 66)), "-1", "0x100000003", "0x59616d61"]

CALLS: dict[str, tuple[list[str], ...]] = {
    "sched_setaffinity": (PID, SIZES[1:5], ["p1", "p1", "p0"]),
    "sched_getscheduler": (PID,),
    "sched_getparam": (PID, ["p7", "0"]),
    "sched_setparam": (PID, PRIORITY),
    "sched_setscheduler": (PID, SIGNED, PRIORITY),
    "sched_get_priority_max": (SIGNED,),
    "sched_get_priority_min": (SIGNED,),
    "sched_getattr": (PID, ["0"], SIZES, FLAGS),
    "getpriority": (["0", "0", "3", "-1"], PID),
    "setpriority": (["0", "0", "3", "-1"], PID, ["0", "1", "5", "-3", "19", "40", "-40"]),
    "getrusage": (["2", "-2", "7"], ["p0"]),
    "capget": (
        [f"p{v}:{p}" for v in VERSIONS for p in ("0", "0xffffffff", NOBODY)],
        ["p1:1:1:1:1:1:1", "0"],
    ),
    "capset": (
        [f"p{v}:{p}" for v in VERSIONS for p in ("0", NOBODY)],
        ["p0", "p1", "p0:1", "p0:0:1"],
    ),
    "wait4": (PID, ["0"], FLAGS, ["0"]),
    "waitid": (["0", "1", "2", "3", "4", "-1"], PID[:2] + PID[4:], ["0"], FLAGS, ["0"]),
    "getgroups": (["-1", "-5", "0xffffffff"], ["p0"]),
    "setuid": (ID,),
    "setgid": (ID,),
    "setreuid": (ID, ID),
    "setregid": (ID, ID),
    "setresuid": (ID, ID, ID),
    "setresgid": (ID, ID, ID),
    "getpgid": (["-1", "-5", NOBODY],),
    "getsid": (["-1", "-5", NOBODY],),
    "setpgid": ([NOBODY, "0", "self"], ["-1", "-7"]),
    "personality": (["0xffffffff", "0", "0xffffffff", "0x100000000"],),
    "getcpu": (["0"], ["0"]),
    "getrandom": (["p0"], ["0"], ["0", "1", "2", "4", "6", "8", "-1"]),
    "getrlimit": (["16", "-1", "100"], ["p0"]),
    "prlimit64": ([NOBODY, "-1"], ["0", "3"], ["0"], ["0"]),
    "kill": ([NOBODY, "-" + NOBODY], ["0", "65", "-1"]),
    "tkill": (["0", "-1", NOBODY], ["0", "65", "-1"]),
    "tgkill": (["0", "-1", "self", NOBODY], ["0", "-1", NOBODY], ["0", "65", "-1"]),
}

PRCTL: dict[str, tuple[list[str], ...]] = {
    "1": (["0", "9", "64", "65", "-1"],),
    "2": (["p7"],),
    "3": (["0"],),
    "4": (["0", "1", "3", "-1"],),
    "7": (["0"],),
    "8": (["0", "1", "2"],),
    "13": (["0"],),
    "14": (["0", "1", "2"],),
    "15": (["p0x64636261", "p0x41414141:0x42424242:0x43434343:0x44444444:0x45454545"],),
    "16": (["p0"],),
    "21": (["0"],),
    "24": (["0", "10"],),
    "27": (["0"],),
    "28": (["0", "1"],),
    "29": (["0", "1000", "-5"],),
    "30": (["0"],),
    "36": (["0", "1", "5"],),
    "37": (["p7"],),
    "38": (["0", "1", "2"], ["0", "0", "1"], ["0"], ["0"]),
    "41": (["0", "1"], ["0", "0", "1"], ["0"], ["0"]),
    "42": (["0", "0", "1"], ["0"], ["0"], ["0"]),
    "47": (["1", "2", "3", "4", "9"], ["0", "10", "50"], ["0", "0", "1"], ["0"]),
    "99": (["0"],),
    "-1": (["0"],),
}


def lines(random_: random.Random, count: int) -> list[str]:
    """Calls for the program."""
    made = []
    for _ in range(count):
        name = random_.choice(list(CALLS))
        words = [str(NUMBERS[name]), *map(random_.choice, CALLS[name])]
        if random_.random() < 0.3:
            option = random_.choice(list(PRCTL))
            words = [str(NUMBERS["prctl"]), option, *map(random_.choice, PRCTL[option])]
        made.append(",".join(words))
    return made


@pytest.mark.skipif(os.getuid() != 0, reason="compares with user 0, as a guest is")
def test_as_the_kernel(make: Maker, backend: Backend) -> None:
    """The same results, errors and bytes, call after call in one process.

    Where LIMPET_EXAMPLES is set, it is that many others each time.
    """
    source = (SUPPORT / "programs" / "asks.c").read_text(encoding="utf-8")
    program = make.compile(source, "asks")
    guest = make(program, backend)
    others = os.environ.get("LIMPET_EXAMPLES")
    first = random.randrange(1 << 32) if others else 0
    for seed in range(first, first + int(others or 12)):
        asked = lines(random.Random(seed), 150)
        native = subprocess.run([program, *asked], capture_output=True, check=True).stdout
        ours = guest.run(*asked)
        assert ours.status == 0, ours.stderr
        told = zip(native.decode().splitlines(), ours.stdout.decode().splitlines(), strict=True)
        wrong = [(mine, theirs) for theirs, mine in told if mine != theirs]
        assert not wrong, f"seed {seed}: here {wrong[0][0]}, Linux {wrong[0][1]}"
