"""Draws the panels of a dashboard from what Prometheus answers to their own queries: python picture.py PROMETHEUS_URL DASHBOARD PNG"""

import json
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SPAN, STEP = 150, 1


def ask(url, expression, instant):
    now = time.time()
    fields = {"query": expression.replace("$job", ".+").replace("$__rate_interval", "30s")}
    fields |= {"time": now} if instant else {"start": now - SPAN, "end": now, "step": STEP}
    path = "query" if instant else "query_range"
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(fields)}") as answer:
        return now, json.load(answer)["data"]["result"]


def legend(target, labels):
    text = target.get("legendFormat", "")
    for name, value in labels.items():
        text = text.replace("{{%s}}" % name, value)
    return text if text != "__auto" else ", ".join(labels.values())


def draw(axis, url, panel):
    axis.set_title(panel["title"], fontsize=9, loc="left")
    kind = panel["type"]
    for target in panel["targets"]:
        now, result = ask(url, target["expr"], kind != "timeseries")
        if kind == "timeseries":
            for series in result:
                points = [(float(at) - now, float(value)) for at, value in series["values"]]
                axis.plot(*zip(*points), linewidth=1, label=legend(target, series["metric"])[:34])
        elif kind == "stat":
            axis.text(0.5, 0.5, "\n".join(f"{float(s['value'][1]):.4g}" for s in result) or "–", ha="center", va="center", fontsize=20)
        else:
            hidden = {"__name__", "instance", "job"}
            lines = ["   ".join([*(v for k, v in s["metric"].items() if k not in hidden), f"{float(s['value'][1]):.2f}"]) for s in result]
            axis.text(0.02, 0.95, "\n".join(lines), va="top", fontsize=8, family="monospace")
    if kind != "timeseries":
        axis.set_xticks([]), axis.set_yticks([])
        return
    axis.set_ylim(bottom=0)
    axis.tick_params(labelsize=7)
    axis.grid(alpha=0.3)
    if 0 < len(axis.lines) <= 12:
        axis.legend(fontsize=6, loc="upper left")


def main(url, dashboard, png):
    board = json.loads(Path(dashboard).read_text())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    tops = sorted({panel["gridPos"]["y"] for panel in panels})
    figure = plt.figure(figsize=(15, 2.5 * len(tops)))
    figure.suptitle(f"{board['title']} (the last {SPAN} s of a test run; seconds on the axis)", fontsize=11)
    grid = figure.add_gridspec(len(tops), 24, left=0.04, right=0.98, top=1 - 0.5 / len(tops), bottom=0.03, hspace=0.4, wspace=2)
    for panel in panels:
        place = panel["gridPos"]
        draw(figure.add_subplot(grid[tops.index(place["y"]), place["x"]:place["x"] + place["w"]]), url, panel)
    Path(png).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(png, dpi=80)


main(*sys.argv[1:])
