"""What the machine is, and what else it was doing."""

import os
import platform

TICKS = os.sysconf("SC_CLK_TCK")


def description():
    model = "unknown CPU"
    flags = ""
    with open("/proc/cpuinfo") as file:
        for line in file:
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                model = value.strip()
            elif key.strip() == "flags":
                flags = value
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) / 2**20
    vectors = "AVX-512" if " avx512f " in flags else "AVX2" if " avx2 " in flags else "no AVX2"
    return {"cpu": f"{model} ({vectors})", "cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory),
            "kernel": ".".join(platform.release().split(".")[:2]), "distribution": distribution()}


def distribution():
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"


def machine_seconds():
    """CPU seconds that all processes have used since boot, and those that the host took away."""
    with open("/proc/stat") as file:
        fields = [int(field) for field in file.readline().split()[1:]]
    user, nice, system, _, _, irq, softirq, steal = fields[:8]
    return (user + nice + system + irq + softirq) / TICKS, steal / TICKS


def process_seconds(pid):
    """CPU seconds of one process with its threads and the children it has waited for."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / TICKS


class Watch:
    """Measures, over a `with` block, how many cores' worth of CPU time processes other than ours used."""

    def __init__(self, pids):
        self.pids = [*pids, os.getpid()]

    def read(self):
        busy, steal = machine_seconds()
        return busy - sum(process_seconds(pid) for pid in self.pids), steal, os.times().elapsed

    def __enter__(self):
        self.before = self.read()
        return self

    def __exit__(self, *_):
        other, steal, now = (b - a for a, b in zip(self.before, self.read()))
        self.other_cores = max(0.0, round(other / max(now, 1e-9), 3))
        self.stolen_cores = round(steal / max(now, 1e-9), 3)
