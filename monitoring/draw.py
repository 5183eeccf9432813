"""A picture of the dashboard without Grafana: asks Prometheus for what the panels ask, and draws it in their grid.

draw.py --prometheus http://localhost:9090 --minutes 180 --step 30 --output dashboard.png

Knows only what dashboard.json uses. Fails if a query has an error or no answer.
"""

import argparse
import json
import re
import sys
import time
import urllib.parse
import urllib.request
from datetime import datetime, timezone
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator

UNITS = {"s": EngFormatter("s"), "bytes": FuncFormatter(lambda value, _: size(value)), "cps": FuncFormatter(lambda value, _: f"{value:g} c/s")}
CELL = 0.62, 0.38  # inches of a cell of the grid, which is 24 wide
NOTE = "the panels' queries, asked of Prometheus and drawn by monitoring/draw.py, not by Grafana"


def size(value):
    for unit in ("B", "KiB", "MiB"):
        if abs(value) < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} GiB"


def ask(args, target):
    """The series of a query: over the range, or, if it is instant, at its end."""
    expression = target["expr"].replace("$node", ".*").replace("$__rate_interval", f"{4 * args.step}s")
    values = {"query": expression, "start": args.end - 60 * args.minutes, "end": args.end, "step": args.step, "time": args.end}
    path = "query" if target.get("instant") else "query_range"
    with urllib.request.urlopen(f"{args.prometheus}/api/v1/{path}?{urllib.parse.urlencode(values)}") as answer:
        series = json.load(answer)["data"]["result"]
    if not series:
        sys.exit(f"no answer: {expression}")
    return series


def stat(axes, panel, answers):
    value = float(answers[0][0]["value"][1])
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    color = [step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]
    axes.set_facecolor({"green": "#56a64b", "orange": "#ff780a", "red": "#e02f44"}[color])
    axes.text(0.5, 0.5, f"{value:g}", ha="center", va="center", color="white", fontsize=26, transform=axes.transAxes)
    axes.set(xticks=[], yticks=[])


def table(axes, panel, answers):
    options = panel["transformations"][0]["options"]
    labels = {label for series in answers[0] for label in series["metric"]} - set(options["excludeByName"])
    columns = sorted(labels, key=lambda label: options["indexByName"].get(label, len(labels)))
    rows = sorted([series["metric"].get(column, "") for column in columns] for series in answers[0])
    axes.axis("off")
    drawn = axes.table(rows, colLabels=columns, cellLoc="left", bbox=(0, 0, 1, 1), edges="horizontal")
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(8)


def timeseries(axes, panel, answers):
    axes.set_prop_cycle(color=pyplot.get_cmap("tab20").colors[::2] + pyplot.get_cmap("tab20").colors[1::2])
    for target, answer in zip(panel["targets"], answers):
        for series in answer:
            name = re.sub(r"{{(\w+)}}", lambda label: series["metric"].get(label[1], ""), target["legendFormat"])
            times, values = zip(*series["values"])
            axes.plot([datetime.fromtimestamp(at, timezone.utc) for at in times], [float(value) for value in values], label=name, linewidth=1.2)
    axes.xaxis.set_major_locator(AutoDateLocator(minticks=3))
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M:%S"))
    unit = panel["fieldConfig"]["defaults"]["unit"]
    axes.yaxis.set_major_locator(MaxNLocator(6))
    if unit in UNITS:
        axes.yaxis.set_major_formatter(UNITS[unit])
    axes.set_ylim(bottom=0)
    axes.grid(color="#dddddd", linewidth=0.5)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncol=3, fontsize=6, frameon=False)


def draw(args, dashboard):
    panels = dashboard["panels"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = pyplot.figure(figsize=(24 * CELL[0], (height + 1) * CELL[1]))
    figure.text(0.01, 1 - 0.4 / (height + 1), f"{dashboard['title']}: {NOTE}. Times are UTC.", fontsize=10, va="center")
    for panel in panels:
        at = panel["gridPos"]
        left, below = at["x"] + (0.3 if panel["type"] != "timeseries" else 1.4), {"timeseries": 2}.get(panel["type"], 0.2)
        box = left / 24, (height - at["y"] - at["h"] + below) / (height + 1), (at["x"] + at["w"] - 0.3 - left) / 24, (at["h"] - below - 1) / (height + 1)
        axes = figure.add_axes(box)
        axes.set_title(panel["title"], loc="left", fontsize=9, fontweight="bold")
        axes.tick_params(labelsize=7)
        {"stat": stat, "table": table, "timeseries": timeseries}[panel["type"]](axes, panel, [ask(args, target) for target in panel["targets"]])
    figure.savefig(args.output, dpi=80)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prometheus", required=True)
    parser.add_argument("--minutes", type=float, default=180)
    parser.add_argument("--step", type=int, default=30, help="seconds")
    parser.add_argument("--output", default="dashboard.png")
    args = parser.parse_args()
    args.end = time.time()
    draw(args, json.loads(Path(__file__).with_name("dashboard.json").read_text()))


if __name__ == "__main__":
    main()
