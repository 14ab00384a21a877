"""What things are called in the cloud: all names follow from the endpoint's and the project's, and from nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

from homeport.errors import SpecError
from homeport.google import Google
from homeport.spec import CloudRun, Spec

_ACCOUNT_MOST = 30
_BUCKET_MOST = 63
_SERVICE_MOST = 49
_REPOSITORY_MOST = 63
_ROLE_MOST = 64
_OWN_ACCOUNTS = frozenset({"build", "cache", "carry", "edge", "run", "warm"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names of one endpoint's things in one project."""

    name: str
    """Of the endpoint; of its model's service, its repository and network, too."""
    project: str
    region: str
    further: bool = False
    """Whether the endpoint is repeated there, beside the region that its file names first."""

    @property
    def builder(self) -> str:
        """Return the service account that builds images."""
        return self._account("build")

    @property
    def carrier(self) -> str:
        """Return the service account that carries weights into the bucket."""
        return self._account("carry")

    @property
    def runner(self) -> str:
        """Return the service account that the service runs as."""
        return self._account("run")

    @property
    def bucket(self) -> str:
        """Return the name of the bucket of weights. Buckets share one namespace worldwide, so the project's name is in it."""
        return fitted(f"{self.project}-{self.name}-weights{self._regional_suffix}", _BUCKET_MOST)

    def registry(self, host: str) -> str:
        """Return the repository that keeps what the registry `host` has, such as `home-docker-io`."""
        return fitted(f"{self.name}-{host.replace('.', '-').replace(':', '-')}", _REPOSITORY_MOST)

    @property
    def secret(self) -> str:
        """Return the name of the secret that holds the hub's token."""
        return f"{self.name}-hub-token"

    @property
    def metrics_secret(self) -> str:
        """Return the name of the secret that tells the metrics' sidecar what to read."""
        return f"{self.name}-observe{self._regional_suffix}"

    @property
    def service(self) -> str:
        """Return the full name of the model's service, as Cloud Run's API has it."""
        return self.full(self.name)

    def full(self, service: str) -> str:
        """Return the full name of a service."""
        return f"projects/{self.project}/locations/{self.region}/services/{service}"

    def companion(self, word: str) -> str:
        """Return what the service beside the model's is called that `word` stands for, such as `home-agent`."""
        return fitted(f"{self.name}-{word}", _SERVICE_MOST)

    def companion_account(self, word: str) -> str:
        """Return the service account that it runs as. Raises `ValueError` for the word of one of our own accounts."""
        if word in _OWN_ACCOUNTS:
            raise ValueError(f"{self._account(word)} is an account of the endpoint's own")
        return self._account(word)

    @property
    def cacher(self) -> str:
        """Return the service account that makes the startup cache, and alone may write it."""
        return self._account("cache")

    @property
    def cache_job(self) -> str:
        """Return the job that it runs in."""
        return fitted(f"{self.name}-cache", _SERVICE_MOST)

    @property
    def caches(self) -> str:
        """Return the name of the bucket of startup caches."""
        return fitted(f"{self.project}-{self.name}-caches{self._regional_suffix}", _BUCKET_MOST)

    @property
    def warmer(self) -> str:
        """Return the service account that keeps instances warm at some hours."""
        return self._account("warm")

    @property
    def edge_account(self) -> str:
        """Return the service account that an API gateway calls the service as."""
        return self._account("edge")

    @property
    def warm_role(self) -> str:
        """Return the id of the custom role of that account."""
        return re.sub(r"[^a-zA-Z0-9_.]", "_", fitted(f"homeport.{self.name}.warm", _ROLE_MOST))

    def email(self, account: str) -> str:
        """Return the e-mail of a service account."""
        return f"{account}@{self.project}.iam.gserviceaccount.com"

    @property
    def firewall_rules(self) -> tuple[str, str]:
        """Return the rule that lets out what goes to Google, and the one that lets out nothing."""
        return f"{self.name}-to-google", f"{self.name}-nowhere"

    @property
    def guard(self) -> str:
        """Return the name of the template of Model Armor, and of the way to it."""
        return f"{self.name}-guard"

    @property
    def to_guard(self) -> str:
        """Return the firewall rule that lets out what goes to Model Armor."""
        return f"{self.name}-to-guard"

    def zone(self, dns_name: str) -> str:
        """Return the private zone of a name such as `googleapis.com.`."""
        return f"{self.name}-{dns_name.strip('.').replace('.', '-')}"

    @property
    def _regional_suffix(self) -> str:
        """Return the end of a name that each region has for itself in a place that all share."""
        return f"-{self.region}" if self.further else ""

    def _account(self, role: str) -> str:
        # An id has six characters at least.
        return fitted(f"{self.name}-{role}".ljust(6, "x"), _ACCOUNT_MOST)


def names_of(spec: Spec, google: Google) -> Names:
    """Return what the things of `spec` are called. Raises `SpecError` where no project is known."""
    if not google.project:
        raise SpecError(
            "no project is named",
            hint="set project in [cloudrun] of homeport.toml, or export GOOGLE_CLOUD_PROJECT=…",
        )
    region = (spec.cloudrun or CloudRun()).region
    further = spec.edge is not None and region in spec.edge.regions
    return Names(name=spec.endpoint_name, project=google.project, region=region, further=further)


def in_region(spec: Spec, region: str) -> Spec:
    """Return what is wanted of an endpoint in one of its further regions."""
    settings = (spec.cloudrun or CloudRun()).model_dump(exclude_unset=True)
    there = CloudRun.model_validate({**settings, "region": region})
    return spec.model_copy(update={"cloudrun": there})


def fitted(name: str, most: int) -> str:
    """Return the name, or where it is too long its beginning and a checksum."""
    if len(name) <= most:
        return name
    return f"{name[: most - 9].rstrip('-')}-{sha256(name.encode()).hexdigest()[:8]}"
