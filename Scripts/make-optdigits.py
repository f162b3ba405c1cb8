#!/usr/bin/env python3
"""Makes Sources/CDigits/optdigits.bin from the copy of the UCI optical digits inside the scikit-learn wheel.

    python3 -m venv .venv-digits && .venv-digits/bin/pip install scikit-learn
    .venv-digits/bin/python Scripts/make-optdigits.py

The table has one row per image: 64 pixel values (0...16, row by row), then the label. The output keeps the rows'
order: all pixels first (1797 x 64 bytes), then all labels (1797 bytes).
"""
import csv
import gzip
import hashlib
import importlib.util
import io
import pathlib
import sys

IMAGES, PIXELS = 1797, 64


def table() -> bytes:
    # The package is located, not imported: neither NumPy nor SciPy is needed to read one CSV file.
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        sys.exit("scikit-learn is not installed in this environment: see the head of this script")
    return (pathlib.Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz").read_bytes()


def main() -> None:
    text = gzip.decompress(table()).decode("ascii")
    rows = [[int(float(field)) for field in row] for row in csv.reader(io.StringIO(text)) if row]
    if len(rows) != IMAGES or any(len(row) != PIXELS + 1 for row in rows):
        sys.exit(f"expected {IMAGES} rows of {PIXELS + 1} fields")
    if any(not 0 <= value <= 16 for row in rows for value in row[:PIXELS]):
        sys.exit("a pixel lies outside 0...16")
    if any(not 0 <= row[PIXELS] <= 9 for row in rows):
        sys.exit("a label lies outside 0...9")
    data = b"".join(bytes(row[:PIXELS]) for row in rows) + bytes(row[PIXELS] for row in rows)
    target = pathlib.Path(__file__).resolve().parent.parent / "Sources" / "CDigits" / "optdigits.bin"
    temporary = target.with_suffix(".tmp")
    temporary.write_bytes(data)
    temporary.replace(target)
    print(f"{target.name}: {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
