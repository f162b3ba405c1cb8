"""Makes Tests/Judges/twins.py importable: the benchmarks train and load the very networks that the judges use."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "Tests", "Judges"))
