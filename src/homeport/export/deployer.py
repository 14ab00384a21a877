"""Who deploys from somebody's repository: one account that reads for `plan`, one that may do all that `up` does."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from homeport.errors import HomeportError
from homeport.export.encryption import own_keys
from homeport.export.graph import ResourceKind, Things
from homeport.export.shell import command
from homeport.export.text import comment
from homeport.google.grants import role_for
from homeport.resources.google.bucket import Bucket
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.mirrored_image import MirroredImage
from homeport.resources.google.secret import SecretVersion
from homeport.resources.google.startup_cache import StartupCache
from homeport.targets.cloudrun.names import fitted
from homeport.targets.cloudrun.preflight.encryption import LOOKS
from homeport.targets.cloudrun.preflight.permissions import needs

KNOWS: frozenset[str] = frozenset(ResourceKind)
"""The kinds of resources that the deployer has the roles to make."""

PACKAGE = "HOMEPORT_PACKAGE"
"""The variable that says what pip installs."""
_EXTRAS = {"image/agent": "agents", "image/gateway": "gateway"}
"""What `up` needs installed beside what it always does, by the image that it makes of its own installation."""
TOKEN = "HF_TOKEN"  # noqa: S105 - a variable's name
WATCHED = ("homeport.toml", "*.whl")
"""The files of a repository whose change is planned and deployed."""
_ACCOUNT_MOST = 30
_GRANTS = "roles/resourcemanager.projectIamAdmin"
_READS = ("get", "list", "getIamPolicy")
_MORE_READS = (
    # What is looked at before anything is made.
    "cloudquotas.quotas.get", "orgpolicy.policy.get", "run.locations.list",
    # What stands in regions that the file does not name.
    "artifactregistry.repositories.list", "compute.subnetworks.list", "run.services.list",
)  # fmt: skip
_NOT_PLANS = (
    "certificatemanager.certmapentries.list", "certificatemanager.operations.", "cloudbuild.", "compute.globalOperations.", "compute.regionOperations.", "compute.regionSslCertificates.get", "compute.sslCertificates.get", "dns.resourceRecordSets.list",
    "iam.serviceAccounts.getIamPolicy", "logging.", "modelarmor.templates.list", "monitoring.alertPolicies.get", "monitoring.dashboards.get",
    "monitoring.notificationChannels.get", "monitoring.uptimeCheckConfigs.get", "networkconnectivity.regionalEndpoints.list", "run.executions.", "run.jobs.", "run.operations.", "run.revisions.", "secretmanager.versions.",
    "serviceusage.operations.", "serviceusage.services.list", "storage.objects.",
)  # fmt: skip
"""What only `up` or `down` reads, what a plan finds in lists, or what is content: a secret's value and a bucket's objects, which are granted one by one."""
_WITHIN = {
    "roles/artifactregistry.reader": "roles/artifactregistry.admin",
    "roles/browser": "roles/resourcemanager.projectIamAdmin",
    "roles/storage.objectUser": "roles/storage.admin",
    "roles/storage.objectViewer": "roles/storage.admin",
    "roles/run.servicesInvoker": "roles/run.admin",
    "roles/secretmanager.secretAccessor": "roles/secretmanager.admin",
}
"""Roles that add nothing to another one."""

Lines = list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployerAccount:
    """One of the two."""

    id: str
    project: str
    does: str

    @property
    def email(self) -> str:
        """Return the account's e-mail."""
        return f"{self.id}@{self.project}.iam.gserviceaccount.com"

    @property
    def name(self) -> str:
        """Return the account's full name, as Cloud Build wants it."""
        return f"projects/{self.project}/serviceAccounts/{self.email}"

    @property
    def member(self) -> str:
        """Return the account as policies name it."""
        return f"serviceAccount:{self.email}"


def ensure_key_is_at_hand(things: Things) -> None:
    """Raise `HomeportError` where `up` would need the key of a certificate of the user's own, which no pipeline has."""
    if ResourceKind.CERTIFICATE in things.kinds():
        raise HomeportError(
            "a pipeline has no key for the certificate of [edge]: it lies with you, and in no repository",
            hint="leave certificate and private_key out, so that Google makes one; or say `homeport up --on cloudrun` yourself",
        )


def package_note(things: Things) -> str:
    """Return what is said of the package that a pipeline installs, with the extras that this file's `up` needs."""
    more = [extra for id_, extra in _EXTRAS.items() if things.by_id(id_) is not None]
    extras = ",".join(("local", "cloudrun", *more))
    return (
        f"{PACKAGE} is what pip installs: a wheel in your repository, such as "
        f"./homeport-0.1.0-py3-none-any.whl[{extras}], or homeport[{extras}]@git+https://…@COMMIT. There is no "
        "default: homeport is in no package index, and its bare name would install whatever somebody else put there."
    )


def planner(things: Things) -> DeployerAccount:
    """Return the account of pull requests: it reads, and changes nothing."""
    return _account(things, "plan", "plans")


def deployer(things: Things) -> DeployerAccount:
    """Return the account of the main branch."""
    return _account(things, "deploy", "deploys")


def reads(things: Things) -> tuple[str, ...]:
    """Return the permissions by which `plan` sees what there is, without what secrets and buckets hold."""
    # Only `down`, `status` and `list` look for what was made under other names.
    every = {permission for permission in _needed(things) if permission.rpartition(".")[2] in _READS}
    every -= {*needs()["inventory"].permissions, "artifactregistry.tags.get"}
    # What is behind a tag of our own, and which digest an image has that is taken as it is.
    every |= {"artifactregistry.tags.get"} if things.all(ContainerImage) else set()
    every |= {"artifactregistry.repositories.downloadArtifacts"} if things.all(MirroredImage) else set()
    more = {*_MORE_READS, *(("secretmanager.versions.get",) if _secrets_not_ours(things) else ())}
    # What a load balancer of a region has left is looked for among all networks.
    more |= (
        {"compute.networks.list"} if things.door is not None and things.door.edge_kind != "global" else set()
    )
    # Whether our own network is still closed, from when it was isolated.
    kinds = things.kinds()
    opened = ResourceKind.NETWORK in kinds and ResourceKind.FIREWALL not in kinds
    more |= {"compute.firewalls.list"} if opened else set()
    # A key of another project is shown by its owner: `export.encryption.looks`.
    more |= set(LOOKS) if own_keys(things) else set()
    # Which secrets the agent's revisions were given.
    more |= {"run.revisions.list"} if things.by_id("image/agent") is not None else set()
    return tuple(sorted({permission for permission in every if not permission.startswith(_NOT_PLANS)} | more))


def roles(things: Things) -> tuple[str, ...]:
    """Return the predefined roles by which `up` may do all that it does, on the project: it makes what it works on."""
    needed = {role_for(permission) for permission in _needed(things)}
    more = {"roles/cloudquotas.viewer", "roles/orgpolicy.policyViewer"}
    return tuple(sorted((needed - _WITHIN.keys()) | more))


def _needed(things: Things) -> set[str]:
    kinds = things.kinds()
    optional = {
        "isolation": ResourceKind.FIREWALL in kinds,
        "warm": ResourceKind.SCHEDULE in kinds,
        "startup-cache": ResourceKind.STARTUP_CACHE in kinds,
        "given-secret": bool(_secrets_not_ours(things)),
        "observe": ResourceKind.DASHBOARD in kinds,
        "uptime": ResourceKind.UPTIME_CHECK in kinds,
        "screen": ResourceKind.TEMPLATE in kinds,
        "screen-road": bool({ResourceKind.TRAFFIC_EXTENSION, ResourceKind.AUTHZ_POLICY} & set(kinds)),
        "screen-way": ResourceKind.ENDPOINT in kinds,
        "agent-registry": ResourceKind.REGISTRY_ENTRY in kinds,
        "edge": things.door is not None and things.door.edge_kind == "global",
        "edge-regional": things.door is not None and things.door.edge_kind != "global",
        # No export has these: a file with one of the first two is refused, and what it had once it does not say.
        "api-gateway": False,
        "iap": False,
        "agent-registry-former": False,
    }
    return {
        permission
        for name, need in needs().items()
        if optional.get(name, True)
        for permission in need.permissions
    }


def accounts(things: Things) -> Lines:
    """Return the lines of a script that make both accounts, and let them do what they do."""
    plan, up = planner(things), deployer(things)
    role = re.sub(r"[^a-zA-Z0-9_.]", "_", f"homeport.{things.name}.plan")
    title, permissions = f"homeport {things.name}: plan", ",".join(reads(things))
    lines: Lines = [
        "",
        f"number=$(gcloud projects describe {things.project} --format='value(projectNumber)')",
    ]
    for account in (plan, up):
        lines += [
            "",
            comment(f"The account that {account.does}.").rstrip(),
            f"there {command('gcloud', 'iam', 'service-accounts', 'describe', account.email)} ||",
            f"  {command('gcloud', 'iam', 'service-accounts', 'create', account.id, f'--display-name=homeport {things.name}: {account.does}')}",
        ]
    lines += [
        "",
        comment("What plans may read all that `up` makes, and nothing else.").rstrip(),
        f"if there {command('gcloud', 'iam', 'roles', 'describe', role, f'--project={things.project}')}; then verb=update; else verb=create; fi",
        f'gcloud iam roles "$verb" {role} --project={things.project} --quiet --format=none \\\n    --title="{title}" --stage=GA --permissions={permissions}',
        on_project(things, plan.member, f"projects/{things.project}/roles/{role}"),
        *_contents(things, plan),
        "",
        comment(
            "What deploys may do all that `up` does. That is much, and on the project, since it makes accounts and acts as them. "
            "Only a push to the main branch that was approved gets this account."
        ).rstrip(),
        f"for role in {' '.join(predefined.removeprefix('roles/') for predefined in roles(things) if predefined not in bounds(things))}; do",
        f"  again gcloud projects add-iam-policy-binding {things.project} --condition=None --format=none \\",
        f'    --member={up.member} --role="roles/$role"',
        "done",
        *_bounded(things, up),
        "",
        comment("What is deployed is verified with identity tokens of the account itself.").rstrip(),
        on_account(up, up.member, "roles/iam.serviceAccountOpenIdTokenCreator"),
    ]
    return [*lines, *_budgets(things)] if ResourceKind.BUDGET in things.kinds() else lines


def _budgets(things: Things) -> Lines:
    """Return what is said of a budget: the owner of a project has no right on its billing account."""
    note = (
        "Not done here: the budget lies with the billing account, on which the owner of a project may grant nothing. Somebody who "
        "may says once, else neither account comes to an end:"
    )
    grants = ((planner(things), "roles/billing.viewer"), (deployer(things), "roles/billing.costsManager"))
    commands = (
        f"#   gcloud billing accounts add-iam-policy-binding ACCOUNT --member={account.member} --role={role}"
        for account, role in grants
    )
    return ["", comment(note).rstrip(), *commands]


def _contents(things: Things, plan: DeployerAccount) -> Lines:
    """
    Return what `plan` compares: the manifests of the weights and of the startup cache, and the hub's token. By name, for
    they may not be there yet.
    """
    conditions: list[tuple[str, str]] = []
    places = [weights.bucket for weights in things.all(StoredWeights)]
    places += [cache.bucket for cache in things.all(StartupCache)]
    for bucket in dict.fromkeys(places):
        place = f"projects/_/buckets/{bucket}"
        only = f"resource.name == '{place}' || resource.name.startsWith('{place}/')"
        conditions.append(("roles/storage.objectViewer", only))
    for secret in things.all(SecretVersion):
        place = f"projects/$number/secrets/{secret.secret_id}/"
        conditions.append(("roles/secretmanager.secretAccessor", f"resource.name.startsWith('{place}')"))
    lines: Lines = []
    for role, only in conditions:
        lines += [
            f"again gcloud projects add-iam-policy-binding {things.project} --format=none \\",
            f"    --member={plan.member} --role={role} \\",
            f'    --condition="title=only-of-{things.name},expression={only}"',
        ]
    return lines


def on_project(things: Things, member: str, role: str) -> str:
    """Return the line that grants a role on the project."""
    return command("again", "gcloud", "projects", "add-iam-policy-binding", things.project, "--condition=None",
                   f"--member={member}", f"--role={role}", "--format=none")  # fmt: skip


def on_account(account: DeployerAccount, member: str, role: str) -> str:
    """Return the line that grants a role on one of the accounts. `member` is a word of the shell, in double quotes."""
    return (
        f"again gcloud iam service-accounts add-iam-policy-binding {account.email} \\\n"
        f'    --member="{member}" \\\n    --role={role} \\\n    --format=none'
    )


def bounds(things: Things) -> dict[str, str]:
    """
    Return the condition under which the account that deploys has a role, by the role; `$number` is the project's.

    Only roles that `up` grants on the project can be granted; only its bucket and its secret can be touched. What is of
    another type passes: to create a thing is asked of the project, and so is whether it may be created.
    """
    granted = sorted({grant.role for grant in things.all(Grant) if grant.on.api == "cloudresourcemanager"})
    conditions = {
        _GRANTS: f"api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly([{', '.join(map(repr, granted))}])"
    }
    buckets = [bucket.address.path.rpartition("/")[2] for bucket in things.all(Bucket)]
    if buckets:
        conditions["roles/storage.admin"] = _only(
            "storage", [f"projects/_/buckets/{name}" for name in buckets]
        )
    secrets = sorted({*(secret.secret_id for secret in things.all(SecretVersion)), *_let_into(things)})
    if secrets:
        conditions["roles/secretmanager.admin"] = _only(
            "secretmanager", [f"projects/$number/secrets/{secret_id}" for secret_id in secrets]
        )
    return {role: conditions[role] for role in roles(things) if role in conditions}


def _let_into(things: Things) -> set[str]:
    """Return the secrets that an account of ours may read, those of the project's own among them."""
    return {
        grant.on.path.rpartition("/")[2] for grant in things.all(Grant) if grant.on.api == "secretmanager"
    }


def _secrets_not_ours(things: Things) -> set[str]:
    """Return the secrets that an account of ours may read and homeport does not make."""
    return _let_into(things) - {secret.secret_id for secret in things.all(SecretVersion)}


def _only(service: str, names: list[str]) -> str:
    ours = " || ".join(f"resource.name == '{name}' || resource.name.startsWith('{name}/')" for name in names)
    return f"!resource.type.startsWith('{service}.googleapis.com/') || {ours}"


def _bounded(things: Things, up: DeployerAccount) -> Lines:
    """Return the lines that grant roles under conditions, and take them back where an earlier version granted them without."""
    lines: Lines = [
        "",
        comment(
            "These only for what `up` makes. Accounts it makes itself, and acts as them: that is on the whole project, since "
            "whether it may is asked of the project before they are there."
        ).rstrip(),
    ]
    for role, expression in bounds(things).items():
        title = f"only what homeport makes of {things.name}"
        lines += [
            'cat >"$work/condition.json" <<END',
            json.dumps({"title": title, "expression": expression}),
            "END",
            f'again gcloud projects add-iam-policy-binding {things.project} --condition-from-file="$work/condition.json" \\',
            f"    --member={up.member} --role={role} --format=none",
            f"gcloud projects remove-iam-policy-binding {things.project} --condition=None \\",
            f"    --member={up.member} --role={role} >/dev/null 2>&1 || true",
        ]
    return lines


def _account(things: Things, purpose: str, does: str) -> DeployerAccount:
    return DeployerAccount(
        id=fitted(f"{things.name}-{purpose}".ljust(6, "x"), _ACCOUNT_MOST), project=things.project, does=does
    )
