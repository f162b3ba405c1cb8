"""Medians, and how sure we are of them."""

import random
import statistics


def median(values):
    return statistics.median(values)


def interval(values, confidence=0.95, resamples=4000, seed=1):
    """The percentile bootstrap's interval for the median (Efron & Tibshirani 1993, ch. 13)."""
    generator = random.Random(seed)
    medians = sorted(statistics.median(generator.choices(values, k=len(values))) for _ in range(resamples))
    tail = (1 - confidence) / 2
    return medians[int(tail * resamples)], medians[min(resamples - 1, int((1 - tail) * resamples))]


def ratio(numerators, denominators):
    """Of the pairs: median ratio, and its 95 % interval. Pairs were taken side by side, so what the machine did to
    both at once cancels in each."""
    ratios = [n / d for n, d in zip(numerators, denominators, strict=True)]
    low, high = interval(ratios)
    return {"ratio": median(ratios), "low": low, "high": high, "pairs": len(ratios)}
