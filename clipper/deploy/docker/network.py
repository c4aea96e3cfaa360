"""The network on which the daemon reaches its containers, and those that containers may reach.

Ours is internal: there is no way from it to anywhere but the machine itself, and none from one
container to another. What the machine's services listen on beyond loopback a container can reach,
at the bridge's address and at others of the machine: those have to ask for a token, or be kept from
it by the machine's firewall.
"""

from ipaddress import IPv4Network, IPv6Network, ip_network
from threading import Lock

from docker import DockerClient
from docker.models.networks import Network

from clipper.core.errors import DeployError
from clipper.deploy.docker.client import translated
from clipper.deploy.docker.request import INSTANCE_LABEL

Subnet = IPv4Network | IPv6Network

ICC = "com.docker.network.bridge.enable_icc"
"""Whether containers reach one another over a bridge."""
NO_FENCE = ("host", "none", "container")
"""Ways of being connected that are no network of the container's own."""


class Networks:
    """The networks of one instance's containers; all calls block."""

    def __init__(self, client: DockerClient, instance: str) -> None:
        self.own = f"clipper-{instance}"
        self.subnets: tuple[Subnet, ...] = ()
        """The addresses of our network, once it has been made or found."""
        self._client = client
        self._labels = {INSTANCE_LABEL: instance}
        self._making = Lock()

    def ensure(self) -> None:
        """Make our network where it is not there."""
        # The engine makes two of a name when two ask at once, and then finds the name ambiguous.
        with translated(f"the network {self.own} cannot be made"), self._making:
            if not self._named(self.own):
                self._client.networks.create(
                    self.own,
                    driver="bridge",
                    internal=True,
                    labels=self._labels,
                    options={ICC: "false"},
                )
            found = self._named(self.own)[0].attrs
        if not found["Internal"] or (found["Options"] or {}).get(ICC) != "false":
            raise DeployError(
                f"the network {self.own} is not as the daemon would make it: containers could "
                "reach others from it",
                hint=f"Remove it: docker network rm {self.own}",
            )
        self.subnets = tuple(ip_network(one["Subnet"]) for one in found["IPAM"]["Config"] or ())

    def remove(self) -> None:
        """Remove our network, which has to be without containers."""
        with translated(f"the network {self.own} cannot be removed"):
            for network in self._named(self.own):
                network.remove()

    def find(self, name: str) -> Network:
        """The network that a deployment names.

        Raises:
            DeployError: there is none, or it is none of a container's own.
        """
        if name.partition(":")[0] in NO_FENCE:
            raise DeployError(
                f"a model cannot have the network {name!r}: it would be no network of its own",
                hint="Name one that `docker network ls` lists, such as bridge.",
            )
        with translated(f"the network {name} cannot be looked up"):
            found = self._named(name)
        if not found:
            raise DeployError(
                f"there is no network {name!r} in Docker",
                hint=f"Make it with `docker network create {name}`, or name one that "
                "`docker network ls` lists.",
            )
        return found[0]

    def _named(self, name: str) -> list[Network]:
        """By the whole name, where the engine's filter takes a part or a pattern for it."""
        return [one for one in self._client.networks.list(names=[name]) if one.name == name]
