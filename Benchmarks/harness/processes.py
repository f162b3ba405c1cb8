"""Measurements of whole processes: from spawn to the answer, and the peak of memory."""

import os
import subprocess
import sys
import time

from . import measure
from .machine import Watch
from .workers import raise_priority

STARTUP = {
    "torch": "import torch; print((torch.ones(4) + torch.ones(4)).sum().item(), flush=True)",
    "tf": "import tensorflow as tf; print(float(tf.reduce_sum(tf.ones(4) + tf.ones(4))), flush=True)",
    "jax": "import jax.numpy as jnp; print(float((jnp.ones(4) + jnp.ones(4)).sum()), flush=True)"}


def spawn(arguments, environment, priority):
    """Runs a program to its end: seconds from spawn to its first line, peak resident bytes, and its output."""
    start = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
                               preexec_fn=raise_priority if priority else None)
    first = process.stdout.readline()
    answered = time.perf_counter() - start
    rest, problems = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)[:200]}: exit code {process.returncode}: {problems[-500:]}")
    return answered, usage.ru_maxrss * 1024, first + rest


def environment(threads):
    return {**os.environ, "OMP_NUM_THREADS": str(threads), "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}


def interleave(programs, rounds, threads, priority):
    """programs: key -> command line. Time to the first line, and memory, of each, in rounds."""
    taken, errors = {}, {}
    settings = environment(threads)
    for key, arguments in programs.items():  # one run each that does not count warms the page cache
        try:
            spawn(arguments, settings, priority)
            taken[key] = ([], [])
        except (OSError, RuntimeError) as problem:
            errors[key] = str(problem)
    with Watch([]) as watch:
        for _ in range(rounds):
            for key, (seconds, memory) in taken.items():
                answered, peak, _ = spawn(programs[key], settings, priority)
                seconds.append(answered)
                memory.append(peak)
    return {"time": {key: seconds for key, (seconds, _) in taken.items()},
            "memory": {key: memory for key, (_, memory) in taken.items()}, "errors": errors,
            "other_cores": watch.other_cores, "stolen_cores": watch.stolen_cores}


def result(taken, what):
    return {"series": {key: measure.summary(samples) for key, samples in taken[what].items()},
            "ratios": measure.ratios(taken[what]),
            **{key: taken[key] for key in ("errors", "other_cores", "stolen_cores")}}


def startup(binaries, rounds, threads, priority):
    programs = {"apus": [os.path.join(binaries, "apus-bench"), "startup"]}
    programs |= {peer: [sys.executable, "-c", code] for peer, code in STARTUP.items()}
    taken = interleave(programs, rounds, threads, priority)
    return {"startup": result(taken, "time"), "startup_memory": result(taken, "memory")}


def predict(binaries, rounds, threads, priority, folder):
    """`apus predict` against the same in PyTorch: load the trained network and a PNG, print the class."""
    apus = os.path.join(binaries, "apus")
    trained, image = os.path.join(folder, "predict"), os.path.join(folder, "digit.png")
    model = os.path.join(trained, "model.safetensors")
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "processes", "predict_torch.py")
    subprocess.run([apus, "train", "digits", "--epochs", "1", "--output", trained], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, script, "make", trained + ".pt", image], check=True)
    programs = {"apus": [apus, "predict", model, image, "--json"],
                "torch": [sys.executable, script, "predict", trained + ".pt", image]}
    taken = interleave(programs, rounds, threads, priority)
    return {"predict": result(taken, "time"), "predict_memory": result(taken, "memory")}


def demo(binaries, rounds, threads, priority, folder):
    """The main job and its twin in PyTorch: same network, data, epochs, batch and optimizer. Peak memory, and time."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "processes", "train_digits_torch.py")
    output = os.path.join(folder, "demo")
    programs = {"apus": [os.path.join(binaries, "apus"), "train", "digits", "--output", output],
                "torch": [sys.executable, script]}
    settings = environment(threads)
    seconds, memory = {key: [] for key in programs}, {key: [] for key in programs}
    with Watch([]) as watch:
        for _ in range(rounds):
            for key, arguments in programs.items():
                start = time.perf_counter()
                memory[key].append(spawn(arguments, settings, priority)[1])
                seconds[key].append(time.perf_counter() - start)
    taken = {"time": seconds, "memory": memory, "errors": {}, "other_cores": watch.other_cores,
             "stolen_cores": watch.stolen_cores}
    return {"demo": result(taken, "time"), "demo_memory": result(taken, "memory")}
