"""The catalogue: applications, models and links, as they are and as they may be changed.

Every change is checked against the configuration, written to the store, and only then adopted: what
was acknowledged is durable, and the next query sees it. The messages are those of the old release
where it had one, because its clients show them; the hints are ours.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from clipper.core.config import Config
from clipper.core.errors import (
    AlreadyExists,
    Conflict,
    Incompatible,
    InvalidInput,
    StateError,
    UnknownModel,
)
from clipper.core.types import Application, Model, ModelId
from clipper.serving.checks import (
    MAX_REPLICAS,
    check_application,
    check_linked_apps,
    check_links,
    check_model,
    check_policy_fits,
    find_application,
)
from clipper.serving.states import SelectionStates
from clipper.state.registry import Registry

log = logging.getLogger(__name__)


class Catalogue:
    """What is registered; `config` is replaced, never changed in place."""

    def __init__(
        self,
        registry: Registry,
        states: SelectionStates,
        on_change: Callable[[Config], Awaitable[None]],
    ) -> None:
        self.config = Config()
        self.is_loaded = False
        self._registry = registry
        self._states = states
        self._on_change = on_change
        self._lock = asyncio.Lock()

    async def load(self) -> None:
        """Take over what the store holds, if that is new; give back what it has lost.

        Raises:
            StateError: the store cannot be reached; what was known stays.
        """
        async with self._lock:
            await self._catch_up()

    async def _catch_up(self) -> None:
        revision = await self._registry.revision()
        if self.is_loaded and revision < self.config.revision:
            await self._restore()
        elif not self.is_loaded or revision > self.config.revision:
            await self._adopt(await self._registry.load())

    async def _restore(self) -> None:
        """A store without persistence came back empty: what was acknowledged is written again."""
        log.warning("The store has lost its configuration; it is written again")
        stored = await self._registry.load()
        # A conflict means that another daemon restores it; the next look tells.
        with contextlib.suppress(Conflict):
            await self._adopt(await self._registry.save(stored, self.config))

    async def _adopt(self, config: Config) -> None:
        self.config = config
        self.is_loaded = True
        await self._on_change(config)

    def _check_loaded(self) -> None:
        if not self.is_loaded:
            raise StateError(
                "The store cannot be reached yet.", hint="See `clipper-admin status`; try again."
            )

    async def _change(
        self,
        done: str,
        edit: Callable[[Config], Config],
    ) -> None:
        """Check and apply a change on top of what other daemons did.

        `done` says in the log what it was.
        """
        self._check_loaded()
        async with self._lock:
            while True:
                await self._catch_up()
                after = edit(self.config)
                try:
                    saved = await self._registry.save(self.config, after)
                except Conflict:
                    continue
                await self._adopt(saved)
                log.info("%s", done, extra={"action": "configured"})
                return

    async def add_application(self, app: Application) -> None:
        """Register an application; it starts with no learned state.

        Raises:
            AlreadyExists, InvalidInput: its name is taken, or a field is out of range.
        """
        check_application(app)

        def edit(config: Config) -> Config:
            if app.name in config.applications:
                raise AlreadyExists(
                    f"application '{app.name}' already exists",
                    hint="Choose another name, or delete it first.",
                )
            return config.with_application(replace(app, registered=config.revision + 1))

        await self._change(f"Application '{app.name}' added", edit)

    async def delete_application(self, name: str) -> None:
        """Remove an application, its links and what it learned.

        Raises:
            UnknownApplication: there is none of this name.
        """

        key = ""

        def edit(config: Config) -> Config:
            nonlocal key
            key = find_application(config, name, f"Application '{name}' does not exist").key
            return config.without_application(name)

        await self._change(f"Application '{name}' deleted", edit)
        await self._states.forget(key)

    async def set_policy(self, name: str, policy: str, params: Mapping[str, Any]) -> None:
        """Give an application another selection policy, which begins with nothing learned.

        The same policy with other parameters goes on with what it has, as far as that holds under
        them.

        Raises:
            UnknownApplication, InvalidInput, Incompatible: it asks one model, and more are linked.
        """
        key = ""

        def edit(config: Config) -> Config:
            nonlocal key
            app = find_application(config, name, f"No app with name '{name}' exists.")
            key = app.key if app.policy != policy else ""
            changed = replace(app, policy=policy, policy_params=params)
            check_application(changed)
            check_policy_fits(changed)
            if key:
                changed = replace(changed, registered=config.revision + 1)
            return config.with_application(changed)

        await self._change(f"Application '{name}' has the policy {policy}", edit)
        if key:
            await self._states.forget(key)

    async def link(self, app_name: str, names: Sequence[str]) -> None:
        """Link models to an application.

        Raises:
            UnknownApplication, UnknownModel, Incompatible, InvalidInput, AlreadyExists.
        """

        def edit(config: Config) -> Config:
            app = find_application(config, app_name, f"No app with name '{app_name}' exists.")
            check_links(config, app, names)
            return config.with_application(replace(app, models=(*app.models, *names)))

        await self._change(f"Application '{app_name}' linked to {', '.join(names)}", edit)

    async def unlink(self, app_name: str, names: Sequence[str]) -> None:
        """Remove links.

        Raises:
            UnknownApplication, UnknownModel.
        """

        def edit(config: Config) -> Config:
            app = find_application(config, app_name, f"No app with name {app_name} exists.")
            for name in names:
                if name not in app.models:
                    raise UnknownModel(
                        f"Cannot remove nonexistent link between app {app_name} and model {name}"
                    )
            kept = tuple(name for name in app.models if name not in names)
            return config.with_application(replace(app, models=kept))

        await self._change(f"Application '{app_name}' unlinked from {', '.join(names)}", edit)

    def check_new(self, config: Config, model: Model, *, is_typed: bool = True) -> None:
        """Whether a model version may be added, or deployed onto a registration without replicas.

        Where it `is_typed`, its input type is known, and not only guessed.

        Raises:
            AlreadyExists, Incompatible, InvalidInput.
            StateError: nothing is known yet.
        """
        self._check_loaded()
        check_model(model if is_typed else replace(model, approximate_cache=None))
        found = config.models.get(model.id)
        if found is not None:
            if found.deployment is not None or model.deployment is None:
                raise AlreadyExists(
                    f"model with name '{model.id.name}' and version '{model.id.version}' "
                    "already exists",
                    hint="Deploy under another version, or delete this one first.",
                )
            if is_typed and found.input_type is not model.input_type:
                raise Incompatible(
                    f"{model.id} is registered with input type '{found.input_type}'; "
                    f"it cannot be deployed with '{model.input_type}'."
                )
        if is_typed:
            check_linked_apps(config, model)

    async def add_model(self, model: Model, *, keeps_current: bool = False) -> None:
        """Register a version, or give a registered one its replicas.

        It becomes current, unless the one that is shall stay so.

        Raises:
            AlreadyExists, Incompatible, InvalidInput.
        """

        def edit(config: Config) -> Config:
            self.check_new(config, model)
            after = config.with_model(replace(model, registered=config.next_number()))
            stays = keeps_current and model.id.name in config.current
            return after if stays else after.with_current(model.id)

        await self._change(f"Model {model.id} added", edit)

    async def set_current(self, model: ModelId) -> None:
        """Roll a model to another of its versions.

        Raises:
            UnknownModel, Incompatible.
        """

        def edit(config: Config) -> Config:
            if not config.versions(model.name):
                raise UnknownModel(f"Cannot set version for nonexistent model '{model.name}'")
            if model not in config.models:
                raise UnknownModel(
                    f"Cannot set non-existent version '{model.version}' "
                    f"for model with name '{model.name}'"
                )
            check_linked_apps(config, config.models[model])
            return config.with_current(model)

        await self._change(f"Model {model} is current", edit)

    async def delete_model(self, model: ModelId) -> None:
        """Remove a version; if it was current, the newest that remains becomes current.

        Raises:
            UnknownModel: there is none.
        """

        def edit(config: Config) -> Config:
            self.model(model, config)
            return config.without_model(model)

        await self._change(f"Model {model} deleted", edit)

    async def scale(self, model: ModelId, replicas: int) -> None:
        """Have so many replicas.

        Raises:
            UnknownModel, Incompatible, InvalidInput.
        """

        def edit(config: Config) -> Config:
            found = self.model(model, config)
            if found.deployment is None:
                raise Incompatible(
                    f"{model} was registered without containers; it has no replicas to scale.",
                    hint="Deploy it first.",
                )
            if not 0 <= replicas <= MAX_REPLICAS:
                raise InvalidInput(
                    f"{replicas} is not a number of replicas", hint=f"0 to {MAX_REPLICAS}."
                )
            deployment = replace(found.deployment, replicas=replicas)
            return config.with_model(replace(found, deployment=deployment))

        await self._change(f"Model {model} scaled to {replicas} replicas", edit)

    def model(self, model: ModelId, config: Config | None = None) -> Model:
        """A registered version.

        Raises:
            UnknownModel: there is none.
        """
        found = (config or self.config).models.get(model)
        if found is None:
            raise UnknownModel(
                f"model with name '{model.name}' and version '{model.version}' does not exist",
                hint="`clipper-admin model list` shows what there is.",
            )
        return found
