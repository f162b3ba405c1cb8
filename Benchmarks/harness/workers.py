"""One warm process a framework, spoken to in lines (peers/worker.py lists requests and answers)."""

import os
import subprocess
import sys

PEERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers")

# glibc gives large blocks back to the system as soon as they are freed, and every new page costs a fault. Keeping them
# is what a user who cares about speed sets for PyTorch.
KEEP_PAGES = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(10**12), "MALLOC_TOP_PAD_": str(64 << 20),
              "MALLOC_ARENA_MAX": "1"}


ANSWERS = {"workloads", "version", "ready", "time", "dropped", "rss", "error"}


class WorkerError(Exception):
    pass


class Worker:
    def __init__(self, name, arguments, threads, environment=None, priority=False):
        self.name = name
        settings = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads), "JAX_PLATFORMS": "cpu",
                    "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore", **(environment or {})}
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1,
            env={**os.environ, **settings}, preexec_fn=raise_priority if priority else None)
        self.version = self.ask("version")
        self.workloads = set(self.ask("list").split())

    def ask(self, *words):
        kind, answer = "", ""
        try:
            self.process.stdin.write(" ".join(words) + "\n")
        except OSError:
            pass  # it has ended; then there is no answer either
        while kind not in ANSWERS:  # frameworks print remarks of their own while they are loaded
            answer = self.process.stdout.readline()
            if not answer:
                raise WorkerError(f"{self.name} ended while asked: {' '.join(words)}")
            kind, _, text = answer.rstrip("\n").partition(" ")
        if kind == "error":
            raise WorkerError(f"{self.name}: {text}")
        return text

    def prepare(self, workload):
        self.ask("prepare", workload)

    def run(self, workload, count):
        """Seconds for `count` calls."""
        return float(self.ask("run", workload, str(count)))

    def drop(self, workload):
        self.ask("drop", workload)

    def peak_memory(self):
        """Bytes."""
        return int(self.ask("rss")) * 1024

    def close(self):
        try:
            self.process.stdin.write("quit\n")
            self.process.stdin.close()
            self.process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def raise_priority():
    """Ahead of whatever else the machine runs, where we may (as root): own scheduling group, high priority."""
    try:
        os.setsid()
        os.nice(-20)
        with open("/proc/self/autogroup", "w") as file:
            file.write("-20")
    except OSError:
        pass


def python(script, *arguments):
    return [sys.executable, os.path.join(PEERS, script), *arguments]


def arguments_of(framework, binaries):
    """How to start a framework's worker: command line, extra environment."""
    return {
        "apus": ([os.path.join(binaries, "apus-bench")], {}),
        "torch": (python("torch_peer.py"), {}),
        "torch-keep": (python("torch_peer.py"), KEEP_PAGES),
        "torch-compile": (python("torch_peer.py", "--compile"), KEEP_PAGES),
        "tf": (python("tensorflow_peer.py"), {}),
        "jax": (python("jax_peer.py"), {}),
    }[framework]


TITLES = {"apus": "Apus", "torch": "PyTorch", "torch-keep": "PyTorch, pages kept", "torch-compile": "torch.compile",
          "tf": "TensorFlow", "jax": "JAX"}
