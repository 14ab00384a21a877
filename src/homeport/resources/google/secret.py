"""A secret of Secret Manager, and the one version of it that is in use."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from homeport.errors import ApiDisabled, GoogleError, NotFound
from homeport.google import ANSWER_LOST, Google
from homeport.json_types import Json
from homeport.progress import Progress
from homeport.reconcile import Change, Outputs
from homeport.reconcile.diff import Rules
from homeport.resources.base import DependentResource
from homeport.resources.google.rest import LABEL, Address, RestResource
from homeport.secret import Secret


def secret(google: Google, name: str, secret_id: str, region: str) -> RestResource:
    """Return the secret `secret_id` of the endpoint `name`, kept in `region` alone; it holds nothing yet."""
    parent = f"v1/projects/{google.project}/secrets"
    return RestResource(
        google=google,
        name=name,
        id=f"secret/{secret_id}",
        kind="secret",
        address=Address(
            api="secretmanager", path=f"{parent}/{secret_id}", made_at=parent, query={"secretId": secret_id}
        ),
        wanted={
            "labels": {LABEL: name},
            "replication": {"userManaged": {"replicas": [{"location": region}]}},
        },
        rules=Rules(
            immutable=frozenset(("replication",)), keys={"replication.userManaged.replicas": "location"}
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretVersion(DependentResource):
    """
    The newest version of a secret, which should hold `value`.

    A version is only added where the newest one holds something else; versions before it are left as they are,
    since something may still use them.
    """

    google: Google
    secret_id: str
    value: Secret

    kind = "secret version"

    @property
    def id(self) -> str:
        """Return kind and name."""
        return f"secret-version/{self.secret_id}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the id of the secret that it is a version of."""
        return (f"secret/{self.secret_id}",)

    async def read(self) -> Json | None:
        """Return the newest version's name, and its value; None where there is no version that can be read."""
        try:
            answer = await self.google.get("secretmanager", f"{self._path}/versions/latest:access")
        except (NotFound, ApiDisabled):
            return None
        except GoogleError as error:
            if error.status == 400:  # The newest one was disabled or destroyed.
                return None
            raise
        data = base64.b64decode(answer["payload"]["data"]).decode(errors="replace")
        return {"name": answer["name"], "value": Secret(data)}

    def diff(self, live: Json, outputs: Outputs) -> tuple[Change, ...]:
        """Tell whether the newest version holds something else."""
        current = live["value"] == self.value
        return () if current else (Change(path="value", before=live["value"], after=self.value),)

    def summary(self, outputs: Outputs) -> str:
        """Return what it will be."""
        return f"a version of secret {self.secret_id}"

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """Add a version."""
        data = base64.b64encode(self.value.reveal().encode()).decode()
        try:
            version = await self.google.post(
                "secretmanager", f"{self._path}:addVersion", {"payload": {"data": data}}
            )
        except GoogleError as error:
            live = await self.read() if error.reason == ANSWER_LOST else None
            if live is None or live["value"] != self.value:
                raise
            return live
        return {"name": version["name"], "value": self.value}

    async def update(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        """Add a version."""
        return await self.create(outputs, progress)

    @property
    def _path(self) -> str:
        return f"v1/projects/{self.google.project}/secrets/{self.secret_id}"
