"""How does Clipper fare beside six other serving systems that do the same work?

Three models, by the same code for all: `noop` sums 8 numbers, `classifier` is a logistic regression
on 784, `sleeping` sums 8 after a pause of 5 ms a batch and 50 us an input. One replica of the model
each, JSON over HTTP, inputs that never repeat (but for the row `cached`). In every round each
system is started, warmed up, measured by wrk in a closed loop and stopped, in turn; then each is
offered load in an open loop to find its goodput: the highest rate of which 99 % is answered by the
model within the SLO. Each peer runs with more than one setting, and its better one counts.
"""

import argparse
import shutil
import signal
import sys
from dataclasses import asdict

from peers.catalogue import PEERS
from peers.comparison import CONNECTIONS, MODELS, SLOS_S, Plan, compare
from peers.machine import processor
from peers.ours import NAME
from peers.plot import plot
from peers.results import Results
from peers.tables import print_failures, print_goodputs, print_rows, print_targets
from peers.targets import targets
from report import RESULTS, write_json


def main() -> None:
    """Measure, print tables, write JSON and a picture."""
    plan = parse()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whichever way: clean up, and show
    results = Results()
    try:
        compare(plan, results)
    except KeyboardInterrupt:
        print("\nInterrupted; this is what was measured so far.")
    show(plan, results)


def parse() -> Plan:
    """The plan that the command line asks for."""
    names = [NAME, *(peer.name for peer in PEERS)]
    parser = argparse.ArgumentParser(prog="make bench-peers", description=__doc__)
    parser.add_argument("--only", default=",".join(names), help="names of systems, with commas")
    parser.add_argument("--models", default="a,b,c", help="a: noop, b: classifier, c: sleeping")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement")
    parser.add_argument("--no-goodput", action="store_true", help="closed loop only")
    parser.add_argument("--quick", action="store_true", help="noop, 32 connections, a second each")
    options = parser.parse_args()
    only, letters = (tuple(words.split(",")) for words in (options.only, options.models))
    for given, known in ((only, names), (letters, list(MODELS))):
        if unknown := set(given) - set(known):
            parser.error(f"{', '.join(sorted(unknown))}: choose from {', '.join(known)}")
    if options.quick:
        options.rounds = options.seconds = 1
    return Plan(
        only=only,
        models=("noop",) if options.quick else tuple(MODELS[letter] for letter in letters),
        connections=(32,) if options.quick else CONNECTIONS,
        rounds=options.rounds,
        seconds=options.seconds,
        with_goodput=not options.no_goodput,
        precision=1.5 if options.quick else 1.05,
    )


def show(plan: Plan, results: Results) -> None:
    """On the terminal, and in files."""
    for model in plan.models:
        print_rows(model, results)
        print_goodputs(model, results)
    aims = targets(results)
    print_targets(aims)
    print_failures(results)
    write_json(
        "side_by_side",
        {
            "processor": processor(),
            "plan": asdict(plan),
            "slos_ms": {model: slo_s * 1e3 for model, slo_s in SLOS_S.items()},
            "settings": {peer.name: [asdict(one) for one in peer.settings] for peer in PEERS},
            "variables": {peer.name: dict(peer.variables) for peer in PEERS},
            "targets": [asdict(aim) for aim in aims],
            **results.as_json(),
        },
    )
    if results.rows:
        plot(results, RESULTS / "side_by_side.png")


if __name__ == "__main__":
    main()
