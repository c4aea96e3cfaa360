"""Calls about applications and their links, under the names of the old client."""

from collections.abc import Mapping
from typing import Any

from clipper.admin.errors import ClipperRefused
from clipper.admin.listener import Listener
from clipper.admin.messages import request

APPLICATIONS = ("api", "v1", "applications")


class ApplicationCalls:
    """What ClipperConnection offers for applications; `admin` is the admin listener.

    Every call raises ClipperRefused where the daemon says no, ClipperUnreachable where no answer
    comes. Information about applications comes as the dicts of `/api/v1`.
    """

    admin: Listener

    def register_application(  # noqa: PLR0913 -- the old client's, and one for each setting
        self,
        name: str,
        input_type: str,
        default_output: str,
        slo_micros: int,
        *,
        selection_policy: str | Mapping[str, Any] = "single",
        loss: str | None = None,
        labels: Mapping[str, Any] | None = None,
        on_overload: str | None = None,
        confidence_threshold: float | None = None,
    ) -> dict[str, Any]:
        """Create an application, a REST endpoint for queries of one input type.

        `default_output` answers whenever no model does within `slo_micros` microseconds, and where
        the models agree less on an answer than `confidence_threshold`, from 0 to 1. `labels` says
        what labels of feedback mean to the `loss`: {"spam": 1, "ham": 0}.
        """
        body = {
            "name": name,
            "input_type": input_type,
            "default_output": default_output,
            "latency_slo_micros": slo_micros,
            "selection_policy": selection_policy,
        }
        chosen = {
            "loss": loss,
            "labels": labels,
            "on_overload": on_overload,
            "confidence_threshold": confidence_threshold,
        }
        body |= {key: value for key, value in chosen.items() if value is not None}
        application: dict[str, Any] = self.admin.call(request("POST", *APPLICATIONS, body=body))
        return application

    def unregister_application(self, name: str) -> None:
        """Delete an application; its endpoint ends at once."""
        self.admin.call(request("DELETE", *APPLICATIONS, name))

    def delete_application(self, name: str) -> None:
        """The older name of `unregister_application`."""
        self.unregister_application(name)

    def link_model_to_app(self, app_name: str, model_name: str) -> None:
        """Let a model answer an application's queries, always by its current version."""
        self.admin.call(request("PUT", *APPLICATIONS, app_name, "links", model_name))

    def unlink_model_from_app(self, app_name: str, model_name: str) -> None:
        """End a link."""
        self.admin.call(request("DELETE", *APPLICATIONS, app_name, "links", model_name))

    def get_all_apps(self, verbose: bool = False) -> list[Any]:
        """The names of all applications; with `verbose`, a dict for each."""
        applications = self.admin.call(request("GET", *APPLICATIONS))
        return applications if verbose else [one["name"] for one in applications]

    def get_app_info(self, name: str) -> dict[str, Any] | None:
        """An application's settings and links, or None if there is no such application."""
        try:
            application: dict[str, Any] = self.admin.call(request("GET", *APPLICATIONS, name))
        except ClipperRefused as refusal:
            if refusal.code == "unknown_application":
                return None
            raise
        return application

    def get_linked_models(self, app_name: str) -> list[str]:
        """The names of the models linked to an application."""
        application = self.admin.call(request("GET", *APPLICATIONS, app_name))
        return list(application["linked_models"])

    def set_selection_policy(
        self, app_name: str, selection_policy: str | Mapping[str, Any]
    ) -> None:
        """Give an application another policy; of the same name, it keeps what was learned.

        A canary with other margins, and a cascade with other thresholds, begin anew.
        """
        body = {"selection_policy": selection_policy}
        self.admin.call(request("PATCH", *APPLICATIONS, app_name, body=body))

    def get_selection_state(self, app_name: str, context: str | None = None) -> dict[str, Any]:
        """What an application's selection policy has learned for a context."""
        asked = request("GET", *APPLICATIONS, app_name, "selection", context=context)
        state: dict[str, Any] = self.admin.call(asked)
        return state
