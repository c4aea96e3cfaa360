"""The paper's figures, run again on this machine: a table beside the paper's numbers for each."""

import argparse
from collections.abc import Callable

from paper import (
    agreement,
    caching,
    delays,
    failure,
    personal,
    profiles,
    replicas,
    stragglers,
    strategies,
    updating,
)
from paper.figure import Figure

FIGURES: dict[str, Callable[[bool], Figure]] = {
    "profiles": profiles.run,
    "strategies": strategies.run,
    "delays": delays.run,
    "replicas": replicas.run,
    "agreement": agreement.run,
    "failure": failure.run,
    "stragglers": stragglers.run,
    "personal": personal.run,
    "updating": updating.run,
    "caching": caching.run,
}


def main() -> None:
    """Run those that are asked for."""
    parser = argparse.ArgumentParser(prog="make paper", description=__doc__)
    parser.add_argument("--only", default=",".join(FIGURES), help="names, with commas")
    parser.add_argument("--quick", action="store_true", help="few queries of each")
    options = parser.parse_args()
    for name in options.only.split(","):
        if name not in FIGURES:
            parser.error(f"{name}: choose from {', '.join(FIGURES)}")
    for name in options.only.split(","):
        FIGURES[name](options.quick).show()


if __name__ == "__main__":
    main()
