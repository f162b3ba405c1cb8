"""The other end of compare.py's pipe: one warm process that runs the workloads it is told to run.

Requests and answers are one line each (the same protocol as Sources/apus-bench):
  list              -> workloads NAME ...
  version           -> version TEXT
  prepare NAME      -> ready NAME          inputs made, first call done
  run NAME COUNT    -> time SECONDS        of COUNT calls, after one that is not timed
  drop NAME         -> dropped NAME        its memory given back to the framework
  rss               -> rss KIB             the process's peak resident memory
  quit              -> (ends)
Anything that goes wrong: -> error TEXT, and the process stays usable.
"""

import gc
import os
import resource
import sys
import time


def serve(version, workloads):
    """workloads: name -> function that sets the workload up and returns the call to time."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)  # whatever the framework prints must not mix with answers
    os.dup2(2, 1)
    prepared = {}
    for line in sys.stdin:
        words = line.split()
        try:
            if words == ["quit"]:
                return
            answers.write(answer(words, version, workloads, prepared) + "\n")
        except Exception as problem:  # reported, not fatal: one workload must not end the session
            answers.write(f"error {type(problem).__name__}: {problem}".replace("\n", " ") + "\n")


def answer(words, version, workloads, prepared):
    match words:
        case ["list"]:
            return "workloads " + " ".join(workloads)
        case ["version"]:
            return "version " + version
        case ["prepare", name]:
            prepared[name] = workloads[name]()
            prepared[name]()
            return "ready " + name
        case ["run", name, count]:
            return f"time {timed(prepared[name], int(count)):.9f}"
        case ["drop", name]:
            prepared.pop(name, None)
            gc.collect()
            return "dropped " + name
        case ["rss"]:
            return f"rss {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}"
    raise ValueError(f"unknown request {' '.join(words)!r}")


def timed(call, count):
    call()
    start = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - start


def threads():
    return int(os.environ.get("OMP_NUM_THREADS", "2"))
