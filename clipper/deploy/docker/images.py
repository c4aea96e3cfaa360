"""Images: which one a name means now, and those that were built for one version of a model."""

from collections.abc import Callable
from threading import Lock

from docker import DockerClient
from docker.errors import APIError, ImageNotFound

from clipper.core.errors import DeployError
from clipper.deploy.docker.cleanup import CONFLICT, NOT_FOUND
from clipper.deploy.docker.client import translated
from clipper.deploy.docker.request import BASE_LABEL, BUILT_LABEL, INSTANCE_LABEL

NO_TAG = "<none>:<none>"


class Images:
    """The images of an engine, and among them those that were built for one instance."""

    def __init__(self, client: DockerClient, instance: str) -> None:
        self._client = client
        self._removing = Lock()
        """Held while an image is looked for too: one that is found, and wanted, is not removed."""
        self._labels = [f"{INSTANCE_LABEL}={instance}", f"{BUILT_LABEL}=1"]

    def id_of(self, image: str) -> str:
        """Which one it is; another build of the same name is another one.

        Raises:
            DeployError: there is none of this name.
        """
        with translated(f"the image {image} cannot be looked up"):
            try:
                return str(self._client.images.get(image).id)
            except ImageNotFound as error:
                raise DeployError(
                    f"there is no image {image}",
                    hint="Build it with `docker/build.sh` from the source tree (for GPUs with "
                    "VARIANT=cuda), pull it, or name one that exists in the deployment's `image`.",
                ) from error

    def is_made_of(self, image: str, base: str) -> bool:
        """Whether it is there, and was built on what the base's name means now.

        Raises:
            DeployError: there is no such base.
        """
        base_id = self.id_of(base)
        with self._removing, translated(f"the image {image} cannot be looked up"):
            try:
                labels = self._client.images.get(image).labels
            except ImageNotFound:
                return False
        return bool(labels.get(BASE_LABEL) == base_id)

    def remove_built(self, is_kept: Callable[[str], bool]) -> None:
        """Remove those that were built for a version, unless they are kept by name or in use.

        Each is asked for just before it would go, as a start may have come to need it meanwhile.
        """
        with translated("images that were built for models cannot be removed"):
            for image in self._client.api.images(filters={"label": self._labels}):
                tags = [tag for tag in image["RepoTags"] or () if tag != NO_TAG]
                for name in tags or [image["Id"]]:
                    with self._removing:
                        if not is_kept(name):
                            self._remove(name)

    def _remove(self, name: str) -> None:
        try:
            self._client.api.remove_image(name)
        except APIError as error:  # a conflict: a container uses it, and a later call removes it
            if error.status_code not in (NOT_FOUND, CONFLICT):
                raise
