#!/usr/bin/env python3
"""Measures Apus against PyTorch, TensorFlow and JAX and writes docs/benchmarks.md. ./dev bench calls it.

Only Python's standard library here: the frameworks live in processes of their own (peers/, Sources/apus-bench)."""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from harness import machine, measure, processes, report, workers  # noqa: E402
from harness.workloads import WORKLOADS  # noqa: E402

PROCESS_GROUPS = {"startup": processes.startup, "predict": processes.predict, "demo": processes.demo}


def arguments():
    parser = argparse.ArgumentParser(description="Compares Apus with its peers; see Benchmarks/README.md.")
    parser.add_argument("--binaries", required=True, help="folder of the release builds of apus and apus-bench")
    parser.add_argument("--only", default="", help="workloads to measure (comma-separated); other results are kept")
    parser.add_argument("--peers", default="torch,torch-keep,tf,jax", help="also known: torch-compile")
    parser.add_argument("--rounds", type=int, default=30, help="samples of each framework (default 30)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--priority", action="store_true", help="as root: run what is measured ahead of other processes")
    parser.add_argument("--results", default=os.path.join(HERE, "results.json"))
    parser.add_argument("--report", default=os.path.join(HERE, "..", "docs", "benchmarks.md"))
    parser.add_argument("--report-only", action="store_true", help="measure nothing, write the report again")
    return parser.parse_args()


def load(path):
    if os.path.exists(path):
        with open(path) as file:
            return json.load(file)
    return {"workloads": {}, "versions": {}}


def version(framework):
    """What it says of itself; Apus with the commit that was measured."""
    if framework.version != "Apus":
        return framework.version
    found = subprocess.run(["git", "-C", HERE, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return f"Apus at {found.stdout.strip()}" if found.returncode == 0 else "Apus"


def store(results, path):
    with open(path + ".tmp", "w") as file:
        json.dump(results, file, indent=1, sort_keys=True)
        file.write("\n")
    os.replace(path + ".tmp", path)


def say(workload, result):
    unit = getattr(workload, "unit", "")
    for key, series in result["series"].items():
        value = f"{report.shown(workload, series['median'])} {unit}"
        against = "".join(f"   {report.title(mine)} {report.spread(found[key])}"
                          for mine, found in result["ratios"].items() if key in found)
        print(f"  {report.title(key):36} {value:>16}{against}", flush=True)
    for key, text in result["errors"].items():
        print(f"  {report.title(key):36} could not run: {text}", flush=True)
    if result["other_cores"] > 0.15:
        print(f"  other processes kept {result['other_cores']:.2f} cores busy: distrust these", flush=True)


def measure_warm(options, results, chosen, keep):
    frameworks = {}
    for framework in ("apus", *options.peers.split(",")):
        command, environment = workers.arguments_of(framework, options.binaries)
        try:
            frameworks[framework] = workers.Worker(
                framework, command, options.threads, environment, options.priority)
        except (OSError, workers.WorkerError) as problem:
            print(f"{framework} cannot be measured: {problem}", file=sys.stderr)
            continue
        results["versions"][framework] = version(frameworks[framework])
    try:
        for workload in chosen:
            print(f"{workload.name}", flush=True)
            results["workloads"][workload.name] = measure.measure(workload, frameworks, options.rounds)
            say(workload, results["workloads"][workload.name])
            keep()
    finally:
        for worker in frameworks.values():
            worker.close()


def measure_processes(options, results, groups, keep):
    with tempfile.TemporaryDirectory() as folder:
        for group in groups:
            print(f"{group} (whole processes)", flush=True)
            extra = {"startup": (options.rounds, options.threads, options.priority),
                     "predict": (options.rounds, options.threads, options.priority, folder),
                     "demo": (options.rounds, options.threads, options.priority, folder)}[group]
            for name, result in PROCESS_GROUPS[group](options.binaries, *extra).items():
                results["workloads"][name] = result
                say(next(entry for entry in report.PROCESSES if entry.name == name), result)
            keep()


def main():
    options = arguments()
    names = [name for name in options.only.split(",") if name]
    known = {workload.name for workload in WORKLOADS} | set(PROCESS_GROUPS)
    for name in names:
        if name not in known:
            sys.exit(f"no workload {name!r}; there are: {', '.join(sorted(known))}")
    results = load(options.results)
    if not options.report_only:
        results |= {"machine": machine.description(), "date": datetime.date.today().isoformat(),
                    "threads": options.threads}

        def keep():
            store(results, options.results)
        chosen = [workload for workload in WORKLOADS if not names or workload.name in names]
        groups = [group for group in PROCESS_GROUPS if not names or group in names]
        if chosen:
            measure_warm(options, results, chosen, keep)
        measure_processes(options, results, groups, keep)
    report.write(results, os.path.join(HERE, "notes.toml"), options.report)
    print(f"wrote {os.path.relpath(options.report)}")


if __name__ == "__main__":
    main()
