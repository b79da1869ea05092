# SPDX-License-Identifier: BSD-2-Clause
"""The figures as people read them. rows: {proxy: {variant: {figure: [a number each round]}}}"""
import statistics


def middle(values):
    return statistics.median(values)


def show(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}" if value else "0"


def span(values):
    text = show(middle(values))
    return text if len(values) == 1 else f"{text} ({show(min(values))}-{show(max(values))})"


def figure_of(rows, name, scenario, figure):
    """Median in the last variant: that is what the scenario is about."""
    return middle(rows[name][list(scenario.setups)[-1]][figure])


def best_peer(rows, scenario):
    peers = [figure_of(rows, name, scenario, scenario.main) for name in rows if name != "weir"]
    return min(peers, default=None)


def extra(rows, name, scenario, figure):
    """How much more than in the first variant: of each round, as both were measured one after the other."""
    first, last = (rows[name][variant][figure] for variant in scenario.setups)
    return middle([b / a - 1 for a, b in zip(first, last)])


def verdicts(rows, scenario):
    """[(figure, in words what was to be reached and what was, reached?)] for weir."""
    found = []
    for figure, (kind, limit) in scenario.targets.items() if "weir" in rows else ():
        value = figure_of(rows, "weir", scenario, figure)
        if kind == "extra":
            value = extra(rows, "weir", scenario, figure)
            found.append((figure, f"{value:+.1%} (target {limit:+.0%} at most)", value <= limit))
        elif kind == "most":
            found.append((figure, f"{show(value)} (target {show(limit)} at most)", value <= limit))
        elif len(rows) > 1 if kind == "best" else kind in rows:
            peer = best_peer(rows, scenario) if kind == "best" else figure_of(rows, kind, scenario, figure)
            ratio = value / max(1e-9, peer)
            name = "best peer" if kind == "best" else kind
            found.append((figure, f"{ratio:.2f} x {name} (target {limit:.2f} at most)", ratio <= limit))
    return found


def print_scenario(scenario, rows):
    per = f", us = CPU microseconds per {scenario.unit}" if scenario.unit else ""
    print(f"{scenario.name}: {scenario.about}{per}")
    best = best_peer(rows, scenario)
    for name, variants in rows.items():
        for variant, values in variants.items():
            cells = [f"{figure} {span(numbers)}" for figure, numbers in values.items() if figure != "errors"]
            if best and name == "weir" and variant == list(scenario.setups)[-1]:
                cells.append(f"{figure_of(rows, name, scenario, scenario.main) / best:.2f} x best peer")
            if len(variants) > 1 and variant == list(scenario.setups)[-1]:
                cells.append(f"{extra(rows, name, scenario, scenario.main):+.1%}")
            if errors := sum(values.get("errors", [0])):
                cells.append(f"ERRORS {errors:.0f}")
            print(f"  {name + (':' + variant if variant else ''):13} " + "  ".join(cells))
    for figure, words, reached in verdicts(rows, scenario):
        print(f"  {'reached' if reached else 'MISSED':13} {figure}: {words}")
    print(flush=True)


def print_calls(name, about, rows):
    print(f"calls, {name}: system calls per request ({about})")
    for proxy, calls in rows.items():
        print(f"  {proxy:13} {sum(calls.values()):.2f}: " + " ".join(f"{c}={n:.2f}" for c, n in calls.items()))
    print(flush=True)


def print_table(scenarios, results):
    names = list(dict.fromkeys(name for rows in results.values() for name in rows))
    lines = [["scenario", *names, "weir's targets"]]
    for scenario in scenarios:
        if not (rows := results.get(scenario.name)):
            continue
        cells = [show(figure_of(rows, name, scenario, scenario.main)) if name in rows else "-" for name in names]
        words = "; ".join(("" if reached else "MISSED ") + f"{figure} {text}"
                          for figure, text, reached in verdicts(rows, scenario))
        lines.append([scenario.name, *cells, words])
    lines.insert(1, ["---"] * len(lines[0]))
    for line in lines:
        print("| " + " | ".join(line) + " |")
