"""A deployed model with whichever tables its file has of `[guard]`, `[observe]`, `[agent]` and `[edge]`, in one cloud."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from cloud import things
from deployers import Deployer
from edges import DOMAIN, WithEdge
from homeport import spec
from homeport.google import Google
from homeport.targets.cloudrun.agent.companion import with_agent
from homeport.targets.cloudrun.guard.guarded import with_gateway
from homeport.targets.cloudrun.model_selection import ResolvedModel
from homeport.targets.cloudrun.observe.target import with_observe
from homeport.targets.cloudrun.target import CloudRunTarget

TABLES: dict[str, dict[str, Any]] = {  # Any: values of homeport.toml
    "guard": {},
    "observe": {"alerts": ["mailto:ops@example.com"]},
    "agent": {"tools": ["calculator"]},
    "edge": {"domain": DOMAIN, "requests_per_minute": 60},
}


class WithAllTables(WithEdge):
    """Puts the file together as `up` does."""

    def file(self, *tables: str, **more: Any) -> spec.Spec:  # Any: tables of homeport.toml
        """The file with those tables."""
        whole = self.wanted().model_dump(exclude_none=True)
        return spec.parse({**whole, **{name: TABLES[name] for name in tables}, **more})

    def target(
        self, google: Google, chosen: ResolvedModel, wanted: spec.Spec, *, canary: tuple[int, ...] = ()
    ) -> CloudRunTarget:
        made = Deployer.target(self, google, chosen, wanted, canary=canary)
        return self.behind_edge(with_agent(with_gateway(with_observe(made))))

    def there(self) -> Counter[str]:
        """
        How many of a name there are, by API. Images and files in the bucket stay, and Google's own things have numbers.

        So has what Cloud Monitoring keeps, by the order in which it was made: of that it is the kind.
        """
        return Counter(
            f"{one.api}/{one.name.rpartition('/')[0] if one.api == 'monitoring' else one.name}"
            for one in things(self.cloud)
            if not re.search("/(packages|routes|o)/|/serverless-", one.name)
        )

    def granted(self) -> set[tuple[str, str, str]]:
        """Who was granted what on what, of the endpoint's own accounts."""
        places = [
            ("cloudresourcemanager", "projects/rehearsal"),
            *((one.api, one.name) for one in things(self.cloud)),
        ]
        return {
            (f"{api}/{name}", binding["role"], member)
            for api, name in places
            for binding in self.cloud.access.policy(api, name).get("bindings", ())
            for member in binding.get("members", ())
            if "home-" in member
        }
