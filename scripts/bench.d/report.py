"""Turns figures into the table, the ratios and the goals. Measures nothing."""

import json
from dataclasses import asdict, dataclass, field
from statistics import median

REPEATABLE = 0.005
CALM = 0.10
LOGGED = 0.98


@dataclass
class Figures:
    """The measurements of one contender. A list has one value per process (instructions) or per round (everything else)."""

    name: str
    what: str
    instructions: list = field(default_factory=list)
    instructions_with_cookie: list = field(default_factory=list)
    cpu_us: list = field(default_factory=list)
    per_second: list = field(default_factory=list)
    p99_ms: list = field(default_factory=list)
    other_load: list = field(default_factory=list)
    logged_ratio: list = field(default_factory=list)
    rss_mib: float | None = None
    failure: str | None = None

    def spread(self):
        """The relative difference between the counted runs."""
        return (max(self.instructions) - min(self.instructions)) / min(self.instructions)


def table(all_figures):
    head = ["proxy", "instr/req", "spread", "x bare", "CPU us/req", "min-max", "x bare", "req/s", "p99 ms", "RSS MiB", "what"]
    bare = next((f for f in all_figures if f.name == "bare"), None)
    rows = [head] + [_row(figures, bare) for figures in all_figures]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["| " + " | ".join(_cell(row[i], widths[i], i) for i in range(len(head))) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (w + 1) + (":" if 0 < i < len(head) - 1 else "-") for i, w in enumerate(widths)) + "|")
    return lines


def ratios(all_figures):
    """One line for each ratio. If its figures are missing, a ratio with a goal is listed as not measured, and one without is left out."""
    by_name = {figures.name: figures for figures in all_figures}
    hit, off, bare, new = (by_name.get(name) for name in ("burdock-hit", "burdock-off", "bare", "burdock-new"))
    rewrite, off_cookie = (by_name.get(name) for name in ("burdock-rewrite", "burdock-off-cookie"))
    lines = [
        _ratio("sealed hit / no sticky, instructions", _instructions(hit), _instructions(off), 1.06),
        _ratio("  the same, both sent the cookie", _instructions(hit), _with_cookie(off)),
        _ratio("rewritten response / no sticky, instructions", _instructions(rewrite), _instructions(off_cookie), 1.12),
        _ratio("  the same, both sent the cookie", _instructions(rewrite), _with_cookie(off_cookie)),
        _ratio("Burdock default (sealed hit) / bare, instructions", _instructions(hit), _instructions(bare), 1.25),
        _ratio("  the same, both sent the cookie", _instructions(hit), _with_cookie(bare)),
        _ratio("Burdock, new client / bare, instructions", _instructions(new), _instructions(bare)),
        _ratio("Burdock, no sticky / bare, instructions", _instructions(off), _instructions(bare)),
        _paired("Burdock default (sealed hit) / bare, CPU", hit, bare, 1.15),
        _paired("sealed hit / no sticky, CPU", hit, off),
    ]
    return [line for line in lines if line]


def warnings(all_figures):
    messages = [f"{f.name}: {f.failure}" for f in all_figures if f.failure]
    for f in all_figures:
        if f.instructions and f.spread() > REPEATABLE:
            messages.append(f"{f.name}: counted runs differ by {f.spread():.1%}, more than {REPEATABLE:.1%}: not repeatable")
        if f.other_load and median(f.other_load) > CALM:
            messages.append(f"{f.name}: other processes used {median(f.other_load):.0%} of its core: do not trust its CPU, req/s and p99")
        if f.logged_ratio and median(f.logged_ratio) < LOGGED:
            messages.append(f"{f.name}: only {median(f.logged_ratio):.0%} of its requests have a log line: it did not do all its work")
    return messages


def as_json(all_figures, about):
    return json.dumps({"about": about, "contenders": [asdict(f) for f in all_figures]}, indent=1)


def _row(figures, bare):
    instructions, cpu = _instructions(figures), _cpu(figures)
    return [
        figures.name,
        _number(instructions, "{:,.0f}"),
        _number(figures.spread() if figures.instructions else None, "{:.2%}"),
        _number(_over(instructions, _instructions(bare)), "{:.2f}"),
        _number(cpu, "{:.1f}"),
        f"{min(figures.cpu_us):.1f}-{max(figures.cpu_us):.1f}" if figures.cpu_us else "-",
        _number(_paired_median(figures, bare), "{:.2f}"),
        _number(_median(figures.per_second), "{:,.0f}"),
        _number(_median(figures.p99_ms), "{:.2f}"),
        _number(figures.rss_mib, "{:.1f}"),
        figures.what,
    ]


def _ratio(label, above, below, goal=None):
    return _verdict(label, _over(above, below), goal)


def _paired(label, above, below, goal=None):
    return _verdict(label, _paired_median(above, below), goal)


def _verdict(label, value, goal):
    if value is None:
        return f"{label:52} not measured (goal <= {goal})" if goal else None
    if goal is None:
        return f"{label:52} {value:.3f}"
    return f"{label:52} {value:.3f} (goal <= {goal}: {'met' if value <= goal else 'MISSED'})"


def _paired_median(above, below):
    """The median of the ratios of each round, so that a slow round does not distort the result."""
    if above is None or below is None or not above.cpu_us or not below.cpu_us:
        return None
    return median(a / b for a, b in zip(above.cpu_us, below.cpu_us))


def _instructions(figures):
    return _median(figures.instructions) if figures else None


def _with_cookie(figures):
    return _median(figures.instructions_with_cookie) if figures else None


def _cpu(figures):
    return _median(figures.cpu_us)


def _median(values):
    return median(values) if values else None


def _over(above, below):
    return above / below if above and below else None


def _number(value, form):
    return "-" if value is None else form.format(value)


def _cell(text, width, column):
    return text.ljust(width) if column in (0, 10) else text.rjust(width)
