#!/usr/bin/env python3
"""Makes the reference values in Tests/Fixtures from PyTorch, NumPy, mpmath and scikit-learn's copy of the UCI
digits.

    python Scripts/make-fixtures.py [golden] [ops] [printing] [png] [specials] [extremes]      (all when none is named)

The files are committed; run this only to add cases. Needs: torch==2.13.0 numpy==2.4.6 scipy==1.17.1 ml_dtypes==0.6.0
mpmath==1.3.0 scikit-learn.
Everything is seeded: with these versions a second run writes the same bytes (another CPU may differ in last bits).
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__))))

from fixtures import extremes, golden, operations, png_images, printing, specials  # noqa: E402

DIRECTORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Tests", "Fixtures")
MAKERS = {"golden": golden.make, "ops": operations.make, "printing": printing.make, "png": png_images.make,
          "specials": specials.make, "extremes": extremes.make}


def main():
    chosen = sys.argv[1:] or list(MAKERS)
    unknown = [name for name in chosen if name not in MAKERS]
    if unknown:
        sys.exit(f"unknown fixture {unknown[0]!r}: choose from {', '.join(MAKERS)}")
    os.makedirs(DIRECTORY, exist_ok=True)
    for name in chosen:
        MAKERS[name](DIRECTORY)


if __name__ == "__main__":
    main()
