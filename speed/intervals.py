"""What the statistics cost, what the sequential design saves, and how often the intervals hold the truth.

speed     CPU seconds and peak memory of everything that a benchmark of 500 problems asks for: a base and 16 checkpoints
          (pass@k with bands), 16 paired differences (bands, verdicts, crossovers, detectable differences) and 16 x 500
          tests, at 11 values of k, with 2,000 resamples. Beside it scipy.stats.bootstrap on the differences of one
          checkpoint, times the number of curves. Every contender has a process of its own; they take turns.
cost      Samples a problem under the sequential design (exact expectation), and the intervals that they buy.
coverage  How often 95 % intervals hold the truth, on simulated problems with known success rates.

    python speed/intervals.py                    # all three, on one core
    python speed/intervals.py --part cost
"""

from __future__ import annotations

import os
import sys

# before numpy is imported
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
import resource
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from scipy.special import betaln
from scipy.stats import beta, bootstrap
from tried import bca, classical, redrawn

from boundary_bench.statistics.design import Design, plan_rounds
from boundary_bench.statistics.estimate import Estimate, Terms, estimate
from boundary_bench.statistics.gains import gained_and_lost
from boundary_bench.statistics.intervals import Resamples, mean_draws, percentiles, resample
from boundary_bench.statistics.paired import Change, changes, crossover, detectable, equivalence
from boundary_bench.statistics.posterior import Counts
from boundary_bench.statistics.sequential import expected_samples

N_MAX, STOP_AFTER = 1024, 32
KS = tuple(2**i for i in range(11))
RESAMPLES, LEVEL, MARGIN = 2000, 0.95, 0.05
PROBLEMS, CHECKPOINTS = 500, 16
MOST_SECONDS, MOST_MEMORY = 10, 1024  # CPU seconds on one core, MiB
TURNS = 3
#: Distributions of success rates over problems: anything, mostly solved, mostly unsolved.
SHAPES = {"anything": (0.6, 0.6), "mostly solved": (1.2, 0.35), "mostly unsolved": (0.15, 1.2)}
#: The k of the cost and the coverage tables.
COST_KS, COVER_KS = (1, 16, 256, 1024), (1, 16, 256)
#: Data sets of the cost tables; of the coverage tables, by the number of problems.
COST_SETS, COVER_SETS, PAIRED_SETS = 50, {30: 2000, 500: 800}, {30: 1500, 500: 300}
#: The first of them, for the methods that draw samples again in every resample.
REDRAWN_SETS = {30: 1000, 500: 300}
#: Data sets that share resamples, which are then drawn anew.
CHUNK = 20
#: Where the base has rate p a checkpoint has p ** power, but p / 1000 for a share of the problems.
CHANGED = {
    "sharpened, p^0.5": (0.5, 0.0),
    "a little, p^0.8": (0.8, 0.0),
    "p^0.9, 1 in 20 lost": (0.9, 0.05),
    "equal": (1.0, 0.0),
}


def sequential(stop_after: int = STOP_AFTER) -> Design:
    """The default design for so many successes."""
    return Design(plan_rounds(N_MAX, stop_after), stop_after)


def draw(design: Design, p_P: np.ndarray, rng: np.random.Generator) -> Counts:
    """Counts of problems of known success rates, drawn round by round."""
    samples_P, correct_P = np.zeros((2, len(p_P)), np.int64)
    going_P, start = np.ones(len(p_P), bool), 0
    for size in design.stops:
        correct_P[going_P] += rng.binomial(size - start, p_P[going_P])
        samples_P[going_P], start = size, size
        if design.stop_after is not None:
            going_P &= correct_P < design.stop_after
    return Counts(design, samples_P, correct_P)


def show(header: Sequence[str], rows: Sequence[Sequence[object]], title: str) -> None:
    """Print a Markdown table under a line of text."""
    lines = [header, ["---"] * len(header), *rows]
    print(f"{title}\n\n" + "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n", flush=True)


# speed


def policies() -> tuple[Counts, list[Counts]]:
    """A base and its checkpoints, each a little further away."""
    rng = np.random.default_rng(0)
    p_P = rng.beta(0.6, 0.6, PROBLEMS)
    powers = np.linspace(1, 0.6, CHECKPOINTS)
    return draw(sequential(), p_P, rng), [draw(sequential(), p_P**power, rng) for power in powers]


def analyse() -> list[float]:
    """CPU seconds of the pass@k curves, of the differences with all that is said of them, and of the tests."""
    base, checkpoints = policies()
    clock = [time.process_time()]
    resamples = resample(PROBLEMS, RESAMPLES, 0)
    for counts in (base, *checkpoints):
        estimate(KS, [(1, counts)], resamples, LEVEL)
    clock.append(time.process_time())
    for counts in checkpoints:
        found = estimate(KS, [(1, counts), (-1, base)], resamples, LEVEL)
        changes(found, MARGIN, LEVEL)
        equivalence(found.draw_BK, LEVEL)
        crossover(KS, found.estimate_K, found.draw_BK, LEVEL)
        detectable(found.draw_BK, LEVEL)
    clock.append(time.process_time())
    for counts in checkpoints:
        gained_and_lost(base, counts, 1 - LEVEL)
    clock.append(time.process_time())
    return np.diff(clock).tolist()


def peer(method: str) -> list[float]:
    """CPU seconds of scipy's bootstrap of the mean difference at every k, for one checkpoint."""
    base, checkpoints = policies()
    ours_PK, base_PK = (each.pass_at(KS) for each in (checkpoints[-1], base))
    rng, begun = np.random.default_rng(0), time.process_time()
    settings = {"n_resamples": RESAMPLES, "confidence_level": LEVEL, "method": method, "batch": BATCH}
    bootstrap((ours_PK - base_PK,), np.mean, **settings, rng=rng)
    return [time.process_time() - begun]


#: Resamples that scipy holds at once: the fastest of 10, 30, 100, 300, 1000 and all.
BATCH = 10
PEERS = {"scipy percentile": "percentile", "scipy BCa": "BCa"}


def contend(name: str) -> None:
    """Run one contender in this process; print its seconds and this process's peak memory in MiB."""
    seconds = peer(PEERS[name]) if name in PEERS else analyse()
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def speed() -> None:
    """Every contender, by turns; the fastest turn counts, and the largest memory."""
    turns: dict[str, list[tuple[list[float], float]]] = {name: [] for name in ("jeffreys", *PEERS)}
    for _ in range(TURNS):
        for name, done in turns.items():
            command = [sys.executable, __file__, "--contender", name]
            done.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    best = {name: min((seconds for seconds, _ in done), key=sum) for name, done in turns.items()}
    memory = {name: max(mib for _, mib in done) for name, done in turns.items()}
    curves = 1 + 2 * CHECKPOINTS
    rows = []
    for name, against in (("jeffreys", "scipy percentile"),):
        whole = sum(best[name])
        holds = "yes" if whole <= MOST_SECONDS and memory[name] <= MOST_MEMORY else "no"
        parts = [f"{seconds:.2f}" for seconds in best[name]]
        ratio = f"{curves * best[against][0] / sum(best[name][:2]):.1f}"  # scipy makes no tests
        rows.append([name, *parts, f"{whole:.2f}", MOST_SECONDS, f"{memory[name]:.0f}", MOST_MEMORY, holds, ratio])
    for name in PEERS:
        once = best[name][0]
        rows.append([f"{name}, 1 curve", *[""] * 3, f"{once:.2f}", "", f"{memory[name]:.0f}", "", "", ""])
        rows.append([f"{name}, x {curves}", *[""] * 3, f"{curves * once:.2f}", "", "", "", "", ""])
    header = [
        "intervals",
        "curves",
        "differences",
        "tests",
        "CPU s",
        "at most",
        "MiB",
        "at most",
        "holds",
        "scipy / ours",
    ]
    show(header, rows, f"{PROBLEMS} problems, 1 + {CHECKPOINTS} policies, {len(KS)} k, {RESAMPLES:,} resamples")


# cost


def half_widths(design: Design, p_P: np.ndarray, ks: Sequence[int]) -> np.ndarray:
    """half_2K: mean half-widths of the problem+sample and of the sample-only interval, when these problems are drawn.

    The same random numbers for every design.
    """
    rng, widths = np.random.default_rng(1), np.zeros((2, len(ks)))
    for number in range(COST_SETS):
        found = estimate(ks, [(1, draw(design, p_P, rng))], resample(len(p_P), RESAMPLES, number), LEVEL)
        widths += found.high_K - found.low_K, found.samples_high_K - found.samples_low_K
    return widths / COST_SETS / 2


def cost() -> None:
    """Samples and half-widths of each design, on three sets of problems."""
    costs, kinds = [], {"problem+sample": [], "sample-only": []}
    for name, shape in SHAPES.items():
        p_P = np.random.default_rng(0).beta(*shape, PROBLEMS)
        designs = {"fixed": Design((N_MAX,))} | {f"m = {m}": sequential(m) for m in (16, 32, 64)}
        mean = {label: float(expected_samples(design, p_P).mean()) for label, design in designs.items()}
        equal = round(mean[f"m = {STOP_AFTER}"])
        where = f"{name}, Beta{shape}"
        costs.append([where, *(f"{mean[label]:.0f} ({N_MAX / mean[label]:.1f}x)" for label in list(designs)[1:])])
        designs["fixed, equal cost"] = Design((equal,))
        fixed_2K = half_widths(designs["fixed"], p_P, COST_KS)
        for label, design in designs.items():
            ks = [k for k in COST_KS if k <= design.n_max]
            half_2K = half_widths(design, p_P, ks)
            size = design.n_max if design.stop_after is None else f"{mean[label]:.0f}"
            for rows, half_K, full_K in zip(kinds.values(), half_2K, fixed_2K, strict=True):
                # zip stops at the last k of a shorter design
                cells = [f"{100 * a:.2f} ({a / b:.2f})" for a, b in zip(half_K, full_K, strict=False)]
                rows.append([where, label, size, *cells, *["none"] * (len(COST_KS) - len(ks))])
    stops = ", ".join(f"m = {m}: {' '.join(map(str, plan_rounds(N_MAX, m)))}" for m in (16, 32, 64))
    show(["problems", "m = 16", "m = 32", "m = 64"], costs, f"Expected samples a problem (times fewer); rounds {stops}")
    for kind, rows in kinds.items():
        header = ["problems", "design", "n", *(f"k = {k}" for k in COST_KS)]
        show(header, rows, f"Mean half-width of the {kind} interval, in points (ratio to fixed n = {N_MAX})")


# coverage

INTERVALS = ("jeffreys", "two-level percentile", "two-level bca", "percentile, problems only", "sample-only")


class Tally:
    """How often each method's intervals held the truth, and how wide they were."""

    def __init__(self) -> None:
        self.sets: dict[str, list[np.ndarray]] = {}

    def add(self, method: str, ends: tuple[np.ndarray, np.ndarray], truth: np.ndarray) -> None:
        """One data set: low and high at every k, and what they should hold."""
        low_K, high_K = ends
        rounding = 1e-12
        below_K, above_K = high_K < truth - rounding, low_K > truth + rounding
        self.sets.setdefault(method, []).append(np.stack([below_K, above_K, (high_K - low_K) / 2]))

    def cell(self, method: str, i: int) -> str:
        """Coverage in percent, and the standard error that the simulation leaves."""
        held = 1 - np.array([found_3K[:2, i].any() for found_3K in self.sets[method]])
        return f"{100 * held.mean():.1f} ± {100 * held.std() / np.sqrt(len(held)):.1f}"

    def misses(self, method: str, i: int) -> str:
        """How often, in percent, the whole interval lies below the truth, and above."""
        return "{:.1f}, {:.1f}".format(*100 * np.mean(self.sets[method], 0)[:2, i])

    def width(self, method: str, i: int) -> str:
        """Mean half-width in points."""
        return f"{100 * np.mean(self.sets[method], 0)[2, i]:.1f}"


@lru_cache(maxsize=2)
def shared(problems: int, chunk: int, make: Callable[[int, int, int], Resamples]) -> Resamples:
    """The resamples of a chunk of data sets."""
    return make(problems, RESAMPLES, chunk)


def cover(tally: Tally, number: int, design: Design, terms: Terms, truths: tuple[np.ndarray, np.ndarray]) -> Estimate:
    """Add the intervals of every method for one data set.

    Args:
        number: which data set it is.
        truths: truth_K of all problems of the kind, and of those of this very set.
    """
    problems = len(terms[0][1].samples_P)
    chosen = [KS.index(k) for k in COVER_KS]
    truth_K, own_K = (each_K[chosen] for each_K in truths)
    found = estimate(KS, terms, shared(problems, number // CHUNK, resample), LEVEL)
    tally.add("jeffreys", (found.low_K[chosen], found.high_K[chosen]), truth_K)
    tally.add("sample-only", (found.samples_low_K[chosen], found.samples_high_K[chosen]), own_K)
    # as one interval around 0, which holds 0 if and only if the band holds the truth at every k
    ends = (found.band_low_K - truths[0]).max(keepdims=True), (found.band_high_K - truths[0]).min(keepdims=True)
    tally.add("band", ends, np.zeros(1))
    resamples, none_K = shared(problems, number // CHUNK, classical), np.zeros(len(chosen))
    plain_BK = mean_draws(found.value_PK[:, chosen], resamples, none_K, none_K)
    tally.add("percentile, problems only", percentiles(plain_BK, LEVEL), truth_K)
    if number < REDRAWN_SETS[problems]:
        draw_BK = redrawn(design, COVER_KS, terms, resamples, number // CHUNK)
        tally.add("two-level percentile", percentiles(draw_BK, LEVEL), truth_K)
        tally.add("two-level bca", bca(found.value_PK[:, chosen], draw_BK, LEVEL), truth_K)
    return found


def solved_within(p: np.ndarray, ks: Sequence[int]) -> np.ndarray:
    """pass@k of known success rates, k on the last axis."""
    with np.errstate(divide="ignore"):  # a rate that rounds to 1
        return -np.expm1(np.array(ks) * np.log1p(-p)[..., None])


def cover_pass(design: Design, shape: tuple[float, float], problems: int) -> Tally:
    """pass@k of data sets of freshly drawn problems."""
    rng, tally = np.random.default_rng([problems, *(int(100 * x) for x in shape)]), Tally()
    truth_K = 1 - np.exp(betaln(shape[0], shape[1] + np.array(KS)) - betaln(*shape))
    for number in range(COVER_SETS[problems]):
        p_P = rng.beta(*shape, problems)
        cover(tally, number, design, [(1, draw(design, p_P, rng))], (truth_K, solved_within(p_P, KS).mean(0)))
    return tally


def cover_differences(
    design: Design, power: float, lost: float, problems: int
) -> tuple[Tally, np.ndarray, list[list[Change]]]:
    """Paired differences of data sets of freshly drawn problems, the true ones, and what was said of each."""
    rng, tally, verdicts = np.random.default_rng([problems, int(100 * power)]), Tally(), []
    grid = beta.ppf((np.arange(200_000) + 0.5) / 200_000, 0.6, 0.6)
    kept_K, lost_K, base_K = (solved_within(p, KS).mean(0) for p in (grid**power, grid / 1000, grid))
    truth_K = (1 - lost) * kept_K + lost * lost_K - base_K
    for number in range(PAIRED_SETS[problems]):
        base_P = rng.beta(0.6, 0.6, problems)
        ours_P = np.where(rng.random(problems) < lost, base_P / 1000, base_P**power)
        base, ours = (draw(design, p_P, rng) for p_P in (base_P, ours_P))
        own_K = (solved_within(ours_P, KS) - solved_within(base_P, KS)).mean(0)
        found = cover(tally, number, design, [(1, ours), (-1, base)], (truth_K, own_K))
        verdicts.append(changes(found, MARGIN, LEVEL))
    return tally, truth_K, verdicts


def sizes(sets: dict[int, int]) -> str:
    """How many data sets a table is made from."""
    parts = [f"{sets[p]:,} data sets of P = {p} ({REDRAWN_SETS[p]:,} for the two-level methods)" for p in sets]
    return ", ".join(parts)


def coverage() -> None:
    """Tables of coverage, of widths and of verdicts."""
    held, widths, bands = [], [], []
    for problems, shape in ((p, SHAPES[s]) for p in COVER_SETS for s in ("mostly unsolved", "mostly solved")):
        for label, design in {"fixed": Design((N_MAX,)), "sequential": sequential()}.items():
            tally = cover_pass(design, shape, problems)
            bands.append([problems, f"pass@k, Beta{shape}", label, tally.cell("band", 0)])
            for i, k in enumerate(COVER_KS):
                where = [problems, f"Beta{shape}", label, k]
                cells = [tally.cell(method, i) for method in INTERVALS]
                held.append([*where, *cells, tally.misses("jeffreys", i)])
                widths.append([*where, *(tally.width(method, i) for method in INTERVALS)])
    differences, said = [], []
    for problems, (name, (power, lost)) in ((p, item) for p in PAIRED_SETS for item in CHANGED.items()):
        tally, truth_K, verdicts = cover_differences(sequential(), power, lost, problems)
        bands.append([problems, f"difference, {name}", "sequential", tally.cell("band", 0)])
        for i, k in enumerate(COVER_KS):
            truth = truth_K[KS.index(k)]
            where = [problems, name, k, f"{100 * truth:+.1f}"]
            cells = [tally.cell(method, i) for method in INTERVALS]
            both = f"{tally.width('jeffreys', i)}, {tally.width('percentile, problems only', i)}"
            differences.append([*where, *cells, tally.misses("jeffreys", i), both])
            at_k = [verdict[KS.index(k)] for verdict in verdicts]
            said.append([*where, *(f"{100 * at_k.count(change) / len(at_k):.1f}" for change in Change)])
    header = ["P", "success rates", "design", "k", *INTERVALS]
    title = f"Coverage of {100 * LEVEL:g} % intervals of pass@k, percent ± standard error; {sizes(COVER_SETS)}"
    show([*header, "jeffreys too low, too high"], held, title)
    show(header, widths, "Mean half-widths of the same intervals, in points")
    header, ending = ["P", "checkpoint", "k", "true, points"], "half-widths, 1st and 4th"
    title = f"Coverage of paired differences, base Beta(0.6, 0.6), sequential design; {sizes(PAIRED_SETS)}"
    show([*header, *INTERVALS, "jeffreys too low, too high", ending], differences, title)
    show(["P", "curve", "design", "held"], bands, f"Coverage of the jeffreys band, at {len(KS)} k at once")
    show([*header, *Change], said, f"Verdicts in percent, margin {100 * MARGIN:g} points")


PARTS = {"speed": speed, "cost": cost, "coverage": coverage}


def main() -> None:
    """Print the chosen tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, help="one part (all)")
    parser.add_argument("--contender", choices=["jeffreys", *PEERS], help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.contender:
        contend(chosen.contender)
        return
    for name in [chosen.part] if chosen.part else PARTS:
        begun = sum(os.times()[:4])
        PARTS[name]()
        print(f"{name}: {sum(os.times()[:4]) - begun:.0f} CPU seconds\n")


if __name__ == "__main__":
    main()
