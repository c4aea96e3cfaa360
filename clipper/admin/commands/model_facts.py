"""A model version as `clipper-admin model show` has it."""

from typing import Any

from clipper.admin.commands.quantities import size_of
from clipper.admin.terminal import Session

DEPLOYED = ("manager", "framework", "path", "model_data", "image", "output", "network", "cpus")


def show_version(session: Session, model: dict[str, Any]) -> None:
    """All that is known of it, and a table of its replicas."""
    deployment = model["deployment"] or {}
    facts = [
        ("model", f"{model['name']}:{model['version']}"),
        ("current", "yes" if model["is_current"] else "no"),
        *_said(model["description"]),
        ("input type", model["input_type"]),
        ("labels", ", ".join(model["labels"]) or "-"),
        ("batch size", _batching(model["batching"])),
        ("batches ended by", _endings(model["batches_ended_by"])),
        *_approximate(model),
        ("container", model["container_name"]),
        *((key.replace("_", " "), deployment[key]) for key in DEPLOYED if deployment.get(key)),
        *_needs(deployment),
        ("ready", f"{ready(model)} replicas"),
    ]
    session.facts(facts)
    states = model["replica_states"]
    if states:
        keys = ["index", "state", "identity", "restarts", "queries", "batch_size_limit"]
        columns = ["REPLICA", "STATE", "IDENTITY", "RESTARTS", "QUERIES", "BATCH LIMIT"]
        if deployment.get("gpus"):
            keys.append("gpus")
            columns.append("GPUS")
        session.answer()
        rows = ([*(state[key] for key in keys), _latency(state["latency"])] for state in states)
        session.table((*columns, "LATENCY"), rows)
        for state in states:
            for what in ("limit_reason", "last_exit"):
                if state[what]:
                    session.answer(f"{what.replace('_', ' ')} of {state['index']}: {state[what]}")


def ready(model: dict[str, Any]) -> str:
    """How many of its replicas can answer."""
    return f"{model['replicas']['ready']} of {model['replicas']['wanted']}"


def _said(description: dict[str, str] | None) -> list[tuple[str, str]]:
    names = {"model": "made with", "input_form": "takes", "output_form": "answers"}
    said = description or {}
    return [(title, said[key]) for key, title in names.items() if said.get(key)]


def _needs(deployment: dict[str, Any]) -> list[tuple[str, str]]:
    needs = [
        ("packages", ", ".join(deployment.get("requirements", ()))),
        ("GPUs", "; ".join(deployment.get("gpus", ()))),
        ("memory", size_of(deployment.get("memory_bytes", 0))),
    ]
    return [(title, text) for title, text in needs if text]


def _batching(batching: dict[str, Any]) -> str:
    found = {"fixed": f"fixed at {batching['size']}"}
    text = found.get(batching["controller"], f"found by {batching['controller']}")
    return text + (f", waiting up to {batching['wait_ms']:g} ms" if batching["wait_ms"] else "")


def _endings(endings: dict[str, int]) -> str:
    seen = (f"{key.replace('_', ' ')} {count}" for key, count in endings.items() if count)
    return ", ".join(seen) or "-"


def _approximate(model: dict[str, Any]) -> list[tuple[str, str]]:
    asked, state = model["approximate_cache"], model["approximate_cache_state"]
    if asked is None or state is None:
        return []
    audits = f"{state['disagreed']} of {state['audited']} audited were wrong"
    text = f"{asked['metric']} within {asked['radius']:g}; {state['hits']} hits, {audits}"
    return [("near inputs", text if state["is_on"] else f"off: {state['reason']}")]


def _latency(latency: dict[str, float] | None) -> str:
    if latency is None:
        return "-"
    return f"{latency['fixed_ms']:.2f} ms + {latency['per_query_ms']:.4f} ms a query"
