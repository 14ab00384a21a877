"""Who deploys an agent beside a model, by either way."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from deployers import PATH, Deployer
from deployment import google_for
from homeport import spec
from homeport.google import Google
from homeport.home import find_home
from homeport.progress import Silent
from homeport.targets.cloudrun.agent.companion import with_agent
from homeport.targets.cloudrun.model_selection import ResolvedModel, choose
from homeport.targets.cloudrun.target import CloudRunTarget
from proxied import Proxied

MEMBER = "serviceAccount:home-agent@rehearsal.iam.gserviceaccount.com"
AGENT_PATH = PATH.replace("services/home", "services/home-agent")


class WithAgentTable(Deployer):
    """Deploys a file with `[agent]`."""

    def target(
        self, google: Google, chosen: ResolvedModel, wanted: spec.Spec, *, canary: tuple[int, ...] = ()
    ) -> CloudRunTarget:
        return with_agent(super().target(google, chosen, wanted, canary=canary))

    def with_table(self, **table: Any) -> spec.Spec:  # Any: values of homeport.toml
        given = self.wanted().model_dump(exclude_none=True)
        return spec.parse({**given, "agent": table}, where="homeport.toml")

    def made(self, wanted: spec.Spec) -> CloudRunTarget:
        chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
        return self.target(google_for(self.cloud), chosen, wanted)

    @property
    def agent(self) -> Any:  # Any: JSON
        kept = self.cloud.store.get("run", AGENT_PATH.removeprefix("v2/"))
        return kept.body if kept else None


class Told(WithAgentTable, Proxied):
    """Plans as the commands do, with what the service says that it had once."""

    @property
    def entry(self) -> Any:  # Any: JSON
        """The agent's entry in Agent Registry."""
        kept = self.cloud.store.get("agentregistry", AGENT_PATH.removeprefix("v2/"))
        return kept.body if kept else None
