"""Tables and a picture of what run.py measured: regret, ratios, ranks, and how sure they are.

    python scripts/bench/suggest/report.py [--runs DIR] [--split test] [--parallel DIR] [--out DIR]

The runs are kept beside the tables, so that each figure can be computed again.
`--parallel` has the runs of 100 trials with 16 workers, told after 100 ended ones.
Regret is the best loss so far less the least there is, over the same of the median of random draws
at the same budget (references.json): 1 is no better than random, and less than 0.01 counts as 0.01.
Means are geometric. Intervals are bootstraps over problems, 95%; a sign test counts problems whose
median is better; Wilcoxon's test compares runs of one problem and seed.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import platform
import sys
from collections import defaultdict
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from problems import NAMED, PROBLEMS
from scipy import stats

BUDGETS = (25, 50, 100, 200)
FLOOR = 0.01
OURS = "auto"
RIVALS = ("hyperopt tpe", "Optuna TPE", "Optuna mv+group", "random")
FAMILIES = ("black-box", "conditional", "real", "keras")
REFERENCES = Path(__file__).parent / "references.json"

TITLES = {
    "auto": "hpsearch `auto`",
    "fast": "hpsearch `fast`",
    "hyperopt tpe": "hyperopt TPE",
    "Optuna TPE": "Optuna TPE",
    "Optuna mv+group": "Optuna TPE, multivariate and group",
    "random": "random",
}
MOST_ABOVE = 1.25  # times the best rival's median: more is told

Runs = dict[tuple[str, str], dict[int, list[float]]]
Groups = dict[str, list[str]]
Spent = dict[str, float]
Part = tuple[list[str], dict[str, Any]]


def read(folder: Path, names: list[str]) -> tuple[Runs, dict[str, float]]:
    """The best loss after each trial by (problem, method) and seed; CPU ms per trial by method."""
    runs: Runs = defaultdict(dict)
    spent = defaultdict(list)
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            row = json.loads(line)
            if row["problem"] in names:
                runs[row["problem"], row["method"]][row["seed"]] = row["best"]
                spent[row["method"]].append(1000 * row["seconds"] / len(row["best"]))
    return runs, {method: float(np.median(found)) for method, found in spent.items()}


class Regrets:
    """Logarithms of normalised regret.

    Attributes:
        budgets: numbers of trials that all runs have.
        seeds: those that all problems and methods have.
    """

    def __init__(self, runs: Runs) -> None:
        self.runs = runs
        shortest = min(max(map(len, found.values())) for found in runs.values())
        self.budgets = [budget for budget in BUDGETS if budget <= shortest]
        self.seeds = set.intersection(*(set(found) for found in runs.values()))
        self.references = json.loads(REFERENCES.read_text())

    def of(self, problem: str, method: str, budget: int, *, at: int | None = None) -> Any:
        """Of all seeds, ascending; the scale is that of `budget`, the trials are `at`."""
        reference = self.references[problem]
        scale = reference["random"][str(budget)] - reference["best"]
        found = [
            best[min(at or budget, len(best)) - 1] - reference["best"]
            for seed, best in sorted(self.runs[problem, method].items())
            if seed in self.seeds
        ]
        return np.log(np.maximum(np.array(found) / scale, FLOOR))

    def mean(self, problems: list[str], method: str, budget: int, at: int | None = None) -> float:
        return float(np.mean([self.of(p, method, budget, at=at).mean() for p in problems]))


def ratio(regrets: Regrets, problems: list[str], rival: str, budget: int) -> dict[str, float]:
    """Our regret over a rival's, its interval, and the tests."""
    logs = np.array(
        [regrets.of(p, OURS, budget).mean() - regrets.of(p, rival, budget).mean() for p in problems]
    )
    random = np.random.default_rng(0)
    drawn = logs[random.integers(len(logs), size=(5000, len(logs)))].mean(axis=1)
    low, high = np.exp(np.quantile(drawn, [0.025, 0.975]))
    medians = [
        np.median(regrets.of(p, OURS, budget)) - np.median(regrets.of(p, rival, budget))
        for p in problems
    ]
    won, lost = sum(bool(m < 0) for m in medians), sum(bool(m > 0) for m in medians)
    pairs = []
    for p in problems:
        pairs.append(regrets.of(p, OURS, budget) - regrets.of(p, rival, budget))
    differences = np.concatenate(pairs)
    return {
        "ratio": float(np.exp(logs.mean())),
        "low": float(low),
        "high": float(high),
        "won": won,
        "lost": lost,
        "sign_p": float(stats.binomtest(won, won + lost, 0.5).pvalue) if won + lost else 1.0,
        "wilcoxon_p": float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0,
    }


def trials_to_match(regrets: Regrets, problems: list[str], rival: str, budget: int) -> int | None:
    """After how many trials our mean is what the rival's is at a budget."""
    goal = regrets.mean(problems, rival, budget)
    for at in range(1, budget + 1):
        if regrets.mean(problems, OURS, budget, at) <= goal:
            return at
    return None


def ranks(
    regrets: Regrets, problems: list[str], methods: list[str], budget: int
) -> dict[str, float]:
    """Mean rank of the means on each problem."""
    means = np.array([[regrets.of(p, m, budget).mean() for m in methods] for p in problems])
    found = stats.rankdata(means, axis=1).mean(axis=0)
    return dict(zip(methods, found.round(2).tolist(), strict=True))


def versions() -> str:
    names = ("hpsearch", "hyperopt", "optuna", "numpy", "scipy", "scikit-learn", "coco-experiment")
    found = []
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found.append(f"{name} {metadata.version(name)}")
    return f"python {platform.python_version()}, {', '.join(found)}"


def row(*cells: Any) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def head(*cells: Any) -> list[str]:
    return [row(*cells), "|---" * len(cells) + "|"]


def regret_table(regrets: Regrets, groups: Groups, methods: list[str], spent: Spent) -> Part:
    """Mean regret of every method, by family and budget."""
    budgets = regrets.budgets
    lines = head("regret", *(f"{f} {b}" for f in groups for b in budgets), "CPU ms")
    data = {}
    for method in methods:
        found = data[method] = {
            f"{family} {budget}": float(np.exp(regrets.mean(group, method, budget)))
            for family, group in groups.items()
            for budget in budgets
        }
        lines.append(row(method, *(f"{v:.3f}" for v in found.values()), f"{spent[method]:.1f}"))
    return lines, data


def ratio_table(regrets: Regrets, groups: Groups, methods: list[str]) -> Part:
    """Our regret over each rival's."""
    lines = head(
        *("auto against", "family", "trials", "regret ratio (95%)"),
        *("problems won, lost (p)", "runs (p)"),
    )
    data = {}
    for rival in (m for m in methods if m not in (OURS, "fast")):
        for family, group in groups.items():
            for budget in regrets.budgets:
                r = data[f"{rival}, {family}, {budget}"] = ratio(regrets, group, rival, budget)
                interval = f"{r['ratio']:.2f} ({r['low']:.2f} to {r['high']:.2f})"
                sign = f"{r['won']}, {r['lost']} ({r['sign_p']:.2g})"
                cells = rival, family, budget, interval, sign, f"{r['wilcoxon_p']:.1g}"
                lines.append(row(*cells))
    return lines, data


def rank_table(regrets: Regrets, names: list[str], methods: list[str]) -> Part:
    """Mean ranks over problems."""
    lines, data = head("trials", *(f"rank of {m}" for m in methods)), {}
    for budget in regrets.budgets:
        found = data[str(budget)] = ranks(regrets, names, methods, budget)
        lines.append(row(budget, *(f"{found[m]:.2f}" for m in methods)))
    return lines, data


def match_lines(regrets: Regrets, names: list[str], rivals: list[str]) -> Part:
    """After how many trials we are where rivals are at the end."""
    longest = regrets.budgets[-1]
    data = {rival: trials_to_match(regrets, names, rival, longest) for rival in rivals}
    return [f"- {r} after {longest} trials is matched after {n}." for r, n in data.items()], data


def median_table(
    regrets: Regrets, names: list[str], methods: list[str], rivals: list[str]
) -> tuple[list[str], dict[str, float]]:
    """The medians of each problem, and how much ours is above the best rival's."""
    budgets, above = regrets.budgets, {}

    def median(name: str, method: str, budget: int) -> float:
        return float(np.exp(np.median(regrets.of(name, method, budget))))

    lines = head("median regret", *(f"{m} {b}" for b in budgets for m in methods))
    for name in names:
        lines.append(row(name, *(f"{median(name, m, b):.2f}" for b in budgets for m in methods)))
        for budget in budgets:
            best = min(median(name, rival, budget) for rival in rivals)
            above[f"{name} {budget}"] = median(name, OURS, budget) / best
    over = [f"{key} ({value:.2f})" for key, value in above.items() if value > MOST_ABOVE]
    lines += ["", f"Above {MOST_ABOVE} times the best rival's median: {', '.join(over) or 'none'}"]
    return lines, above


def tables(regrets: Regrets, names: list[str], methods: list[str], spent: Spent) -> Any:
    """Markdown, and the same as data."""
    groups = {family: [n for n in names if NAMED[n].family == family] for family in FAMILIES}
    groups = {family: found for family, found in groups.items() if found}
    groups = groups | {"all": names} if len(groups) > 1 else groups
    rivals = [m for m in methods if m in RIVALS and m != "random"]
    seeds = f"{min(regrets.seeds)} to {max(regrets.seeds)}"
    command = " ".join(["python", "scripts/bench/suggest/report.py", *sys.argv[1:]])
    parts: dict[str, tuple[list[str], Any]] = {
        "regret": regret_table(regrets, groups, methods, spent),
        "ratio": ratio_table(regrets, groups, methods),
        "ranks": rank_table(regrets, names, methods),
        "match": match_lines(regrets, names, rivals),
        "worst": median_table(regrets, names, methods, rivals),
    }
    text = (
        f"{len(names)} problems, seeds {seeds}; {versions()}; `{command}` of the runs of run.py.\n"
    )
    text += "".join("\n" + "\n".join(lines) + "\n" for lines, _ in parts.values())
    data = {"command": command, "versions": versions(), "seeds": seeds, "cpu_ms": spent}
    return text, data | {name: found for name, (_, found) in parts.items()}


def summary(data: dict[str, Any], budgets: list[int], family: str) -> str:
    """The tables that README and docs show."""
    lines = head("regret after trials", *budgets, "CPU ms per suggestion")
    for method, found in data["regret"].items():
        values = (found[f"{family} {budget}"] for budget in budgets)
        cells = (f"{value:.{2 if value >= 0.1 else 3}f}" for value in values)
        lines.append(row(TITLES[method], *cells, f"{data['cpu_ms'][method]:.1f}"))
    lines += ["", *head("regret of `auto` against", *(f"{budget} trials" for budget in budgets))]
    rivals = [method for method in data["regret"] if method in RIVALS and method != "random"]
    shown = [(rival, family) for rival in rivals]
    others = dict.fromkeys(key.split(", ")[1] for key in data["ratio"])
    shown += [(rivals[-1], other) for other in others if other != family]
    for rival, group in shown:
        title = TITLES[rival] if group == family else f"the last, {group}"
        cells = (f"{data['ratio'][f'{rival}, {group}, {b}']['ratio']:.2f}" for b in budgets)
        lines.append(row(title, *cells))
    return "\n".join(lines) + "\n"


def parallel(regrets: Regrets, runs: Runs, names: list[str]) -> tuple[str, dict[str, float]]:
    """What asynchronous workers cost: regret after 100 ended trials, beside one after another."""
    side = Regrets(runs)
    regrets = Regrets(regrets.runs)
    regrets.seeds = side.seeds = side.seeds & regrets.seeds
    methods = [m for m in (OURS, *RIVALS) if all((name, m) in runs for name in names)]
    found = {m: float(np.exp(side.mean(names, m, 100))) for m in methods}
    alone = {m: float(np.exp(regrets.mean(names, m, 100))) for m in methods}
    lines = [
        "",
        f"| regret after 100 ended trials, {len(side.seeds)} seeds | 16 workers | one by one | ratio |",
        "|---|---|---|---|",
        *(
            f"| {m} | {found[m]:.3f} | {alone[m]:.3f} | {found[m] / alone[m]:.2f} |"
            for m in methods
        ),
        "",
    ]
    for rival in methods[1:]:
        lines.append(f"- 16 workers, auto against {rival}: {found[OURS] / found[rival]:.2f}")
    ratios = {m: found[m] / alone[m] for m in methods}
    return "\n".join(lines) + "\n", {"regret": found, "of one by one": ratios}


def picture(regrets: Regrets, names: list[str], methods: list[str], file: Path) -> None:
    """Mean regret against trials, with bands of bootstraps over problems."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    longest = regrets.budgets[-1]
    figure, axes = pyplot.subplots(figsize=(7, 4.4), layout="constrained")
    random, at = np.random.default_rng(0), np.arange(1, regrets.budgets[-1] + 1)
    picks = random.integers(len(names), size=(1000, len(names)))
    for number, method in enumerate(methods):
        logs = np.array([[regrets.of(n, method, longest, at=t).mean() for t in at] for n in names])
        low, high = np.exp(np.quantile(logs[picks].mean(axis=1), [0.05, 0.95], axis=0))
        color = f"C{number}"
        axes.plot(at, np.exp(logs.mean(axis=0)), color=color, label=method)
        axes.fill_between(at, low, high, color=color, alpha=0.12, linewidth=0)
    axes.set(
        xlabel="trials",
        ylabel=f"regret (1: random after {longest} trials)",
        yscale="log",
        xlim=(1, longest),
    )
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(file, dpi=150)


def keep(folder: Path, names: list[str], to: Path) -> None:
    """Write the runs of these problems, compressed and in order; equal runs make equal files."""
    to.mkdir(parents=True, exist_ok=True)
    for file in sorted(folder.glob("*.jsonl")):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        rows = [row for row in rows if row["problem"] in names]
        rows.sort(key=lambda row: (row["problem"], row["seed"]))
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (to / f"{file.name}.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--runs", type=Path, default=Path(__file__).parent / "runs")
    asked.add_argument("--split", choices=["dev", "test", "keras"], default="test")
    asked.add_argument("--parallel", type=Path)
    asked.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results")
    given = asked.parse_args()
    names = [p.name for p in PROBLEMS if p.split == given.split]
    runs, spent = read(given.runs, names)
    names = [name for name in names if all((name, m) in runs for m in (OURS, "random"))]
    methods = [m for m in (OURS, "fast", *RIVALS) if all((name, m) in runs for name in names)]
    regrets = Regrets(runs)
    text, data = tables(regrets, names, methods, spent)
    if given.parallel is not None:
        more, data["parallel"] = parallel(regrets, read(given.parallel, names)[0], names)
        text += more
    given.out.mkdir(parents=True, exist_ok=True)
    suffix = "" if given.split == "test" else f"_{given.split}"
    (given.out / f"suggest{suffix}.md").write_text(text)
    (given.out / f"suggest{suffix}.json").write_text(json.dumps(data, indent=1) + "\n")
    family = "all" if "all 25" in data["regret"][OURS] else given.split
    short = summary(data, regrets.budgets, family)
    (given.out / f"suggest{suffix}_summary.md").write_text(short)
    picture(regrets, names, methods, given.out / f"suggest{suffix}.png")
    keep(given.runs, names, given.out / f"suggest{suffix}_runs")
    if given.parallel is not None:
        keep(given.parallel, names, given.out / f"suggest{suffix}_runs_parallel")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
