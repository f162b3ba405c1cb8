"""Interleaved measurement: every framework takes one sample a round, so that what disturbs the machine disturbs all."""

import random
import time

from . import statistics
from .machine import Watch
from .workers import WorkerError

SAMPLE = 0.02  # seconds that a sample lasts, or one call if that is longer
WARM_UP = 0.3
PAUSE = 0.02  # between samples: lets the last framework's spinning threads fall asleep


def series_of(workload, workers):
    """(framework, variant, worker, the worker's name for it), for all that can run this workload."""
    found = []
    for framework, worker in workers.items():
        variants = workload.apus if framework == "apus" else workload.variants.get(framework, ("",))
        if framework != "apus":
            variants = dict.fromkeys(("", *variants))
        for variant in variants:
            name = f"{workload.name}/{variant}" if variant else workload.name
            if name in worker.workloads:
                found.append((framework, variant, worker, name))
    return found


def calibrate(worker, name):
    """Warms a workload up and returns how many calls make a sample."""
    worker.prepare(name)
    fastest, stop = worker.run(name, 1), time.perf_counter() + WARM_UP
    while time.perf_counter() < stop:
        count = max(1, int(SAMPLE / max(fastest, 1e-9)))
        fastest = min(fastest, worker.run(name, count) / count)
    return max(1, round(SAMPLE / max(fastest, 1e-9)))


def measure(workload, workers, rounds):
    """What results.json keeps of one workload."""
    running, errors = {}, {}
    for framework, variant, worker, name in series_of(workload, workers):
        key = f"{framework}:{variant}" if variant else framework
        try:
            running[key] = (worker, name, calibrate(worker, name), [])
        except WorkerError as problem:
            errors[key] = str(problem)
    keys = list(running)
    with Watch([worker.process.pid for worker in workers.values()]) as watch:
        for turn in range(rounds):
            # Nobody always follows the same neighbour, whose threads may not have come to rest yet.
            for key in random.Random(turn).sample(keys, len(keys)):
                worker, name, count, samples = running[key]
                time.sleep(PAUSE)
                samples.append(worker.run(name, count) / count)
    for worker, name, _, _ in running.values():
        worker.drop(name)
    return {
        "series": {key: summary(samples) for key, (*_, samples) in running.items()},
        "ratios": ratios({key: samples for key, (*_, samples) in running.items()}),
        "errors": errors, "other_cores": watch.other_cores, "stolen_cores": watch.stolen_cores}


def summary(samples):
    return {"median": statistics.median(samples), "best": min(samples), "worst": max(samples), "samples": len(samples)}


def ratios(samples):
    """Apus's series -> peer's series -> the peer's time over Apus's: above 1, Apus is faster."""
    ours = [key for key in samples if key.partition(":")[0] == "apus"]
    return {mine: {key: statistics.ratio(taken, samples[mine]) for key, taken in samples.items() if key not in ours}
            for mine in ours}
