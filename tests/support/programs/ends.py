import sys

# mypy: ignore-errors
# ruff: noqa: SIM115
# What a script can do at its end, a case each: as Python itself ends them.
case = sys.argv[1]
keeps = []


class Speaks:
    def __init__(self, word):
        self.word = word

    def __del__(self):
        print("gone:", self.word)


class Own(SystemExit):
    pass


def deep(count):
    if count:
        deep(count - 1)
    raise ValueError("deep")


def chain():
    try:
        deep(2)
    except ValueError as error:
        raise KeyError("outer") from error


if case == "names":
    names = {each: type(value).__name__ for each, value in globals().items()}
    print(sorted(names.items()), __name__, __file__, __spec__, __doc__, __annotations__)
    print(sys.argv, sys.orig_argv[1:], sys.flags, sys.stdout.line_buffering, sys.stdout.encoding)
    modules = sorted(set(sys.modules) - {"_distutils_hack"})  # of setuptools, where it is
    print(modules, sys.getrecursionlimit(), sys.warnoptions, sys.path[0] != "")
elif case == "plain":
    print("a", file=sys.stderr, end="")
    print("b", end="")
elif case.startswith("exit:"):
    print("before")
    sys.exit(eval(case[5:]))
elif case == "own":
    raise Own(4)
elif case == "chain":
    print("before")
    chain()
elif case == "group":
    raise ExceptionGroup("many", [ValueError(1), TypeError("x")])
elif case == "interrupt":
    print("before")
    keeps.append(Speaks("never"))
    raise KeyboardInterrupt
elif case == "atexit":
    import atexit

    atexit.register(print, "first")
    atexit.register(lambda: 1 / 0)
    atexit.register(print, "second")
    sys.exit(3)
elif case == "threads":
    import threading
    import time

    def later():
        time.sleep(0.05)
        print("later")

    threading.Thread(target=later).start()
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    print("main")
elif case == "finalizers":
    keeps.append(Speaks("kept"))
    print("main")
elif case == "generator":

    def count():
        try:
            yield 1
        finally:
            print("closed")

    running = count()
    next(running)
elif case == "files":
    import io

    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="latin-1", write_through=False)
    print("an \xe4")
    other = open(1, "w", closefd=False)
    other.write("other\n")
elif case == "hook":
    sys.excepthook = lambda kind, value, trace: print("hook", kind.__name__, trace.tb_lineno)
    chain()
elif case == "bad hook":
    sys.excepthook = lambda *given: 1 / 0
    chain()
elif case == "hook exits":
    sys.excepthook = lambda *given: sys.exit(9)
    chain()
elif case == "warnings":
    import warnings

    for level in (1, 2, 3):
        warnings.warn(f"level {level}", DeprecationWarning, stacklevel=level)
        warnings.warn(f"level {level}", stacklevel=level)
elif case == "unraisable":

    class Bad:
        def __del__(self):
            raise ValueError("in the end")

    Bad()
    sys.unraisablehook = lambda given: print("unraisable", given.exc_value)
    Bad()
    deep(1)
elif case == "closed":
    import os

    os.close(1)
    print("lost")
elif case == "input":
    print(input("? "), sys.stdin.read().split())
    input()
elif case == "source":
    import inspect
    import pickle

    print(inspect.getsource(deep), pickle.loads(pickle.dumps(Speaks)) is Speaks)
elif case == "asyncio":
    import asyncio

    async def two():
        await asyncio.sleep(0.01)
        raise ValueError("async")

    asyncio.run(two())
elif case == "recursion":

    def endless():
        endless()

    try:
        endless()
    except RecursionError as error:
        print(error)
elif case == "frames":
    import atexit
    import faulthandler
    import inspect
    import io
    import logging
    import os
    import pdb
    import threading
    import traceback

    def told(*given):
        print([each.function for each in inspect.stack()], sys.exc_info(), *given[:1])

    told(sys._getframe().f_back)
    traceback.print_stack(file=sys.stdout)
    reads, writes = os.pipe()
    faulthandler.dump_traceback(writes)
    print(os.read(reads, 9999).decode().partition("\n")[2])
    logging.basicConfig(format="%(filename)s %(lineno)d", stream=sys.stdout)
    for level in range(1, 4):
        logging.warning("", stacklevel=level)
    pdb.Pdb(stdin=io.StringIO("where\nup\nargs\ncontinue\n"), stdout=sys.stdout).set_trace()
    told()
    atexit.register(told)
    threading._register_atexit(told)
    sys.excepthook = told
    deep(1)
