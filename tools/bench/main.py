"""`make bench`: measures Roadstead and its peers one after the other and prints them side by side."""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import ours

HEAD = ("what", "peer", "ours", "ratio", "to reach")


def peers(args, top):
    script = pathlib.Path(__file__).with_name("peers.py")
    command = ("unshare", "--net", "--mount", "--propagation", "slave", sys.executable, script, "--bin", args.bin,
               "--peers", args.peers, "--top", top, "--starts", str(args.starts), "--churn", str(args.peer_churn),
               "--seconds", str(args.seconds), "--idle-seconds", str(args.idle_seconds))
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def medians(measured):
    """One measurement of many: each figure is the median of its own."""
    first = measured[0]
    if isinstance(first, dict):
        return {name: medians([one[name] for one in measured]) for name in first}
    return statistics.median(measured) if isinstance(first, (int, float)) else first


class Table:
    """Rows as they are found; what a peer did not tell is a dash. Beside another build, that is the only peer."""

    def __init__(self, mine, theirs, before=None):
        self.mine, self.theirs, self.rows, self.own = mine, theirs, [HEAD], {}
        self.before = before and Table(before, {})
        if self.before:
            self.before.fill()

    def their(self, *path):
        found = self.theirs
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return found

    def add(self, what, own, target, *others, unit="", more_is_better=False, digits=1):
        """`own` is a number; others are (name, number or None). The ratio is to the best of them."""
        self.own[what] = own
        if self.before:
            others = [("before", self.before.own[what])]
        told = [(name, value) for name, value in others if value is not None]
        text = ", ".join(f"{name} {value:,.{digits}f}{unit}" for name, value in told) or "-"
        ratio = "-"
        if told and own:
            values = [value for _, value in told]
            ratio = f"{own / max(values) if more_is_better else min(values) / own:.1f} x"
        self.rows.append((what, text, f"{own:,.{digits}f}{unit}", ratio, target))

    def fill(self):
        mine, their = self.mine, self.their
        start, churn, rates = mine["tasks"]["start"], mine["tasks"]["churn"], mine["rates"]
        for at, target in (("p50", "30 ms (15)"), ("p99", "80 ms (40)")):
            self.add(f"RunTask to RUNNING, {at}", start[f"{at}_ms"], f"<= {target}",
                     ("docker run -d", their("docker", "start", f"{at}_ms")),
                     ("ctr run -d, no network", their("containerd", "start", f"{at}_ms")), unit=" ms")
        self.add(f"{churn['tasks']:,} short tasks: start, exit, clean-up", churn["per_second"], ">= 60/s (250)",
                 ("docker", their("docker", "churn_per_second")), ("ctr", their("containerd", "churn_per_second")),
                 unit="/s", more_is_better=True)
        memory = sum(mine["memory"][part] for part in ("supervisor_pss_kib", "growth_kib", "files_kib")) / 1024
        shim = their("containerd", "shim_pss_kib")
        self.add("memory of an idle task beyond its process (PSS)", memory, "<= 1.5 MB",
                 ("containerd shim", shim and shim / 1024), unit=" MB", digits=2)
        emulators = lambda *path: [(name, their(name, *path)) for name in ("moto", "ministack")]
        self.add("DescribeTasks, 16 connections, one core", rates["describe"]["per_second"], ">= 15,000/s",
                 *emulators("describe", "per_second"), unit="/s", more_is_better=True, digits=0)
        self.add("the same, p99", rates["describe"]["latency"]["p99_ms"], "<= 5 ms",
                 *emulators("describe", "latency", "p99_ms"), unit=" ms")
        self.add("RegisterTaskDefinition, 64 connections (ours durable, theirs not)",
                 rates["register"]["per_second"], ">= 5,000/s", *emulators("register", "per_second"),
                 unit="/s", more_is_better=True, digits=0)
        docker = their("docker", "idle", "pss_kib")
        self.add("idle: memory (PSS)", mine["idle"]["pss_kib"] / 1024, "<= 60 MB",
                 ("dockerd+containerd", docker and docker / 1024), unit=" MB")
        self.add("idle: processor", mine["idle"]["cpu_percent"], "< 0.5 %",
                 ("dockerd+containerd", their("docker", "idle", "cpu_percent")), unit=" %", digits=2)
        self.add(f"start to ready, {mine['ready']['services']} services and their tasks",
                 mine["ready"]["seconds"] * 1e3, "<= 500 ms", unit=" ms")
        return self.rows


def in_turns(args, top):
    """Both builds, one after the other and again, so that a machine whose speed drifts is the same to both."""
    measured = {args.before: [], args.bin: []}
    for turn in range(args.rounds):
        for program, found in measured.items():
            print(f"== turn {turn + 1} of {args.rounds}: {program}", flush=True)
            place = f"{top}/{turn}-{'now' if program == args.bin else 'before'}"
            os.mkdir(place)
            found.append(ours.measure(program, place, args))
    return medians(measured[args.before]), medians(measured[args.bin])


def show(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    line = lambda row: "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
    return "\n".join([line(rows[0]), "|" + "|".join("-" * (w + 2) for w in widths) + "|", *map(line, rows[1:])])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--peers", required=True)
    parser.add_argument("--json", help="where all figures go")
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--before", help="another build of the program: measured in turns with --bin, instead of the peers")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each with --before; medians are told")
    parser.add_argument("--starts", type=int, default=50)
    parser.add_argument("--churn", type=int, default=1000)
    parser.add_argument("--peer-churn", type=int, default=80)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--idle-seconds", type=float, default=20)
    args = parser.parse_args()
    top = tempfile.mkdtemp(prefix="roadstead-bench-")
    cores, load = os.cpu_count(), os.getloadavg()[0]
    begin = time.monotonic()
    theirs, before = {}, None
    try:
        if args.before:
            before, mine = in_turns(args, top)
        else:
            print("== Roadstead", flush=True)
            mine = ours.measure(args.bin, top, args)
            if not args.only_ours:
                print("== peers", flush=True)
                os.mkdir(f"{top}/peers")
                theirs = peers(args, f"{top}/peers")
    finally:
        shutil.rmtree(top, ignore_errors=True)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps({"ours": mine, "peers": theirs, "before": before}, indent=2))
    print(f"\n{show(Table(mine, theirs, before).fill())}\n")
    print(f"{cores} cores, load {load:.1f} at the start, Linux {os.uname().release}, {time.monotonic() - begin:.0f} s")


main()
