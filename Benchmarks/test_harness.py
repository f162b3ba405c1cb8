#!/usr/bin/env python3
"""Tests of the benchmark driver, with workers whose speed is known: python3 Benchmarks/test_harness.py"""

import json
import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from harness import machine, measure, report, statistics, workers  # noqa: E402
from harness.workloads import Target, Workload  # noqa: E402

WORKER = """
import sys, time
sys.path.insert(0, {peers!r})
from worker import serve
# A clock that only the pretended work moves: on a busy machine a sleep takes longer than it should.
now = 0.0
time.perf_counter = lambda: now
def working(seconds):
    def work():
        global now
        now += seconds
    return lambda: work
def broken(): raise ValueError("cannot")
print("noise that is no answer")
serve("Pretended 1", {{"eager_add": working({seconds}), "softmax": broken}})
"""


def pretended(name, seconds):
    code = WORKER.format(peers=os.path.join(HERE, "peers"), seconds=seconds)
    return workers.Worker(name, [sys.executable, "-c", code], threads=1)


class HarnessTests(unittest.TestCase):
    def test_interval_holds_the_median_and_narrows(self):
        few, many = [1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0] * 20
        low, high = statistics.interval(few)
        self.assertTrue(low <= 3.0 <= high)
        self.assertLess(statistics.interval(many)[1] - statistics.interval(many)[0], high - low)

    def test_ratio_is_of_pairs(self):
        # both twice as slow in the second round: the ratio does not move
        found = statistics.ratio([2.0, 4.0, 2.0], [1.0, 2.0, 1.0])
        self.assertEqual((found["ratio"], found["low"], found["high"], found["pairs"]), (2.0, 2.0, 2.0, 3))

    def test_verdicts(self):
        self.assertEqual(report.verdict({"low": 4.0, "high": 5.0}, 4), "met")
        self.assertEqual(report.verdict({"low": 3.0, "high": 3.9}, 4), "missed")
        self.assertTrue(report.verdict({"low": 3.0, "high": 5.0}, 4).startswith("open"))

    def test_units(self):
        self.assertAlmostEqual(Workload("a", "ns", 10).value(1e-6), 100)
        self.assertAlmostEqual(Workload("a", "GB/s", 2e9).value(0.5), 4)

    def test_measures_processes_and_reports(self):
        mine, theirs = pretended("apus", 0.01), pretended("torch", 0.03)
        self.addCleanup(mine.close)
        self.addCleanup(theirs.close)
        workload = Workload("eager_add", "ns", 1, (Target(2, ("torch",)),))
        frameworks = {"apus": mine, "torch": theirs}
        result = measure.measure(workload, frameworks, rounds=5)
        self.assertAlmostEqual(result["ratios"]["apus"]["torch"]["ratio"], 3)
        failed = measure.measure(Workload("softmax", "GB/s"), frameworks, rounds=1)
        self.assertIn("cannot", failed["errors"]["apus"])
        self.assertGreater(mine.peak_memory(), 1 << 20)

        results = {"workloads": {"eager_add": result, "softmax": failed}, "versions": {"apus": mine.version},
                   "machine": machine.description(), "date": "2026-01-01", "threads": 1}
        results = json.loads(json.dumps(results))  # as it comes back from the file
        with tempfile.TemporaryDirectory() as folder:
            notes, page = os.path.join(folder, "notes.toml"), os.path.join(folder, "page.md")
            with open(notes, "w") as file:
                file.write('[eager_add]\nreason = "because"\n')
            report.write(results, notes, page)
            with open(page) as file:
                text = file.read()
        # eager_add's target in the real table is 12 times: three times misses it, and the note says why
        self.assertRegex(text, r"\| eager_add \|.*\| ≥ 12× \| missed \| because \|")
        self.assertIn("- softmax, Apus:", text)


if __name__ == "__main__":
    unittest.main()
