"""The configuration: everything that is registered, as one immutable value."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from clipper.core.types import Application, Deployment, Model, ModelId


@dataclass(frozen=True, slots=True)
class Config:
    """Applications, model versions and which of them are current, at one revision of the store.

    A model has a current version exactly as long as it has any.
    """

    applications: Mapping[str, Application] = field(default_factory=dict)
    models: Mapping[ModelId, Model] = field(default_factory=dict)
    current: Mapping[str, str] = field(default_factory=dict)
    """Model name to the version that links follow."""
    revision: int = 0

    def __post_init__(self) -> None:
        for name in ("applications", "models", "current"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def versions(self, name: str) -> list[Model]:
        """Every version of a model, oldest registration first."""
        found = [model for model in self.models.values() if model.id.name == name]
        return sorted(found, key=lambda model: model.registered)

    def deployments(self) -> list[Deployment]:
        """How the replicas of each version that has some are started."""
        return [model.deployment for model in self.models.values() if model.deployment]

    def next_number(self) -> int:
        """The number of the next registration."""
        return 1 + max((model.registered for model in self.models.values()), default=0)

    def with_application(self, app: Application) -> "Config":
        """With an application added or replaced."""
        return replace(self, applications={**self.applications, app.name: app})

    def without_application(self, name: str) -> "Config":
        """With an application, and so its links, removed."""
        kept = {app: value for app, value in self.applications.items() if app != name}
        return replace(self, applications=kept)

    def with_model(self, model: Model) -> "Config":
        """With a model version added or replaced."""
        return replace(self, models={**self.models, model.id: model})

    def with_current(self, model: ModelId) -> "Config":
        """With another version current."""
        return replace(self, current={**self.current, model.name: model.version})

    def without_model(self, model: ModelId) -> "Config":
        """With a version removed; the newest that remains takes its place if it was current."""
        kept = {other: value for other, value in self.models.items() if other != model}
        config = replace(self, models=kept)
        if self.current.get(model.name) != model.version:
            return config
        remaining = config.versions(model.name)
        if remaining:
            return config.with_current(remaining[-1].id)
        current = {name: value for name, value in self.current.items() if name != model.name}
        return replace(config, current=current)
