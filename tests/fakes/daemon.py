"""A daemon that does nothing but hold containers, to be killed.

    python -m tests.fakes.daemon process|docker DATA_DIR TARGET...

It writes the address and the identity of a container for each TARGET, and then waits. Models may
have packages: TARGET+REQUIREMENT. Its Docker containers outlive it for GRACE_S.
"""

import asyncio
import sys
from pathlib import Path

from clipper.core.settings import pip_variables
from clipper.core.types import Deployment, InputType, ModelId, ReplicaId
from clipper.deploy.docker.manager import DockerManager
from clipper.deploy.manager import ContainerSpec
from clipper.deploy.process.manager import ProcessManager

GRACE_S = 2.0


async def main(kind: str, data_dir: str, *targets: str) -> None:
    """Start a container for each target, and wait to be killed."""
    place = Path(data_dir)
    manager = (
        ProcessManager(place, pip_variables=pip_variables())
        if kind == "process"
        else DockerManager(place, grace_s=GRACE_S)
    )
    await manager.open()
    for index, target in enumerate(targets):
        path, *requirements = target.split("+")
        deployment = Deployment(kind, "python", path, requirements=tuple(requirements))
        replica = ReplicaId(ModelId("m", "1"), index)
        container = await manager.start(ContainerSpec(replica, InputType.FLOATS, deployment))
        sys.stdout.write(f"{container.address} {container.identity}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
