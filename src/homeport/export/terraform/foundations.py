"""What stands before anything is served, as blocks of Terraform: one function for each kind of thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from homeport.errors import HomeportError
from homeport.export.fields import Fields
from homeport.export.graph import OF_EDGE, ResourceKind, Things, beside
from homeport.export.terraform.addresses import (
    PROJECT,
    REGION,
    Addresses,
    is_counted,
    told_of,
    type_of,
)
from homeport.export.terraform.bodies import clean_up, upstream
from homeport.export.terraform.edge import counted
from homeport.export.terraform.edge_regions import once_served
from homeport.export.terraform.hcl import (
    Attribute,
    Block,
    Code,
    Item,
    Note,
    attributes,
    block,
    expression,
    joined,
)
from homeport.export.terraform.network import KNOWS as NETWORK
from homeport.export.terraform.tables import KNOWS as TABLES
from homeport.export.terraform.variable_names import unset
from homeport.resources.google.apis import Apis
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.object import Object
from homeport.resources.google.rest import RestResource
from homeport.resources.google.secret import SecretVersion


class FoundationBlocks:
    """The blocks of everything except the service and whom it is open to."""

    def __init__(self, things: Things, addresses: Addresses) -> None:
        self._things, self._addresses = things, addresses

    def blocks(self, one: Any) -> list[Block]:  # Any: the resource of the kind that a function is for
        """Return the block that makes one resource; none where another resource's block makes it, too."""
        expressed = self._addresses.expressed(one.wanted) if isinstance(one, RestResource) else {}
        body = Fields(expressed, one.id)
        make = TABLES.get(one.kind) or NETWORK.get(one.kind)
        arguments = make(self._addresses, one, body) if make else KNOWS[one.kind](self, one, body)
        body.done()
        if one.kind in OF_EDGE:
            arguments = once_served(self._things, self._addresses, one, arguments or [])
        elif is_counted(one):
            arguments = [*counted(one, unset(self._things, told_of(self._things, one))), *(arguments or ())]
        return [] if arguments is None else [self._block(one, arguments)]

    def _block(self, resource: Any, body: list[Item]) -> Block:  # Any: a resource
        kind, _, label = self._addresses.of(resource).partition(".")
        return block("resource", kind, label, body=body)

    def apis(self, one: Apis, _: Fields) -> list[Item]:
        return [
            Attribute("for_each", Code(f"toset({_several(one.services)})")),
            Attribute("service", Code("each.value")),
            Note("Others may use them: what is on stays on."),
            Attribute("disable_on_destroy", False),
        ]

    def account(self, one: RestResource, body: Fields) -> list[Item]:
        return attributes(
            {
                "account_id": _last(one).partition("@")[0],
                "display_name": body.take("displayName"),
                "description": body.take("description"),
            }
        )

    def grant(self, one: Grant, _: Fields) -> list[Item]:
        return [
            *attributes(
                {
                    **self._on(one),
                    "role": self._addresses.expressed(one.role),
                    "member": self._addresses.member(one.member),
                }
            )
        ]

    def secret(self, one: RestResource, body: Fields) -> list[Item]:
        replication = Fields(body.take("replication"), one.id)
        replicas = replication.take("userManaged")["replicas"]
        replication.done()
        places = [block("replicas", body=attributes({"location": self._addresses.place(each["location"])})) for each in replicas]  # fmt: skip
        return [
            *attributes({"secret_id": _last(one), "labels": self._addresses.labels(body)}),
            block("replication", body=[block("user_managed", body=places)]),
        ]

    def secret_version(self, one: SecretVersion, _: Fields) -> list[Item]:
        variable = self._addresses.label(one)
        within = Attribute("secret", self._addresses.by_id(f"secret/{one.secret_id}", "id"))
        if self._things.is_open(one):
            return [within, Note("Settings, and no secret."), Attribute("secret_data", one.value.reveal())]
        return [
            within,
            Note("Sent, and kept nowhere: not in the state, not in a plan."),
            Attribute("secret_data_wo", Code(f"var.{variable}")),
            Attribute("secret_data_wo_version", Code(f"var.{variable}_version")),
            Note("A build that is under way may still read the version before."),
            Attribute("deletion_policy", "ABANDON"),
        ]

    def repository(self, one: RestResource, body: Fields) -> list[Item]:
        arguments: list[Item] = attributes(
            {
                "repository_id": _last(one),
                "location": self._addresses.place(one.address.path.split("/")[4]),
                "format": body.take("format"),
                "mode": body.take("mode"),
                "kms_key_name": body.take("kmsKeyName"),
                "labels": self._addresses.labels(body),
            }
        )
        config = body.take("remoteRepositoryConfig")
        if config:
            arguments.append(upstream(config))
        return [*arguments, *(clean_up(each) for each in body.take("cleanupPolicies", {}).values())]

    def bucket(self, one: RestResource, body: Fields) -> list[Item]:
        access = Fields(body.take("iamConfiguration"), one.id)
        name, location = body.take("name"), body.take("location")
        arguments: list[Item] = attributes(
            {
                "name": self._bucket_name(one) if isinstance(name, Code) else name,
                "location": Code("upper(var.region)")
                if self._addresses.place(location.lower()) == REGION
                else location,
                "uniform_bucket_level_access": access.take("uniformBucketLevelAccess")["enabled"],
                "public_access_prevention": access.take("publicAccessPrevention"),
                "labels": self._addresses.labels(body),
            }
        )
        access.done()
        soft_delete, encrypted = body.take("softDeletePolicy"), body.take("encryption")
        if soft_delete:
            seconds = int(soft_delete["retentionDurationSeconds"])
            arguments.append(
                block("soft_delete_policy", body=attributes({"retention_duration_seconds": seconds}))
            )
        if encrypted:
            key = attributes({"default_kms_key_name": encrypted["defaultKmsKeyName"]})
            arguments.append(block("encryption", body=key))
        return arguments

    def object(self, one: Object, _: Fields) -> list[Item]:
        file = beside(one)
        try:
            content: Code | str = one.content.decode()
        except UnicodeDecodeError as error:
            raise HomeportError(
                f"Terraform cannot hold {one.name}, which is no text", hint="homeport export gcloud can"
            ) from error
        if file in self._things.beside:
            content = Code(f'file("${{path.module}}/{file}")')
        return attributes(
            {"bucket": self._addresses.by_id(f"bucket/{one.bucket}", "name"), "name": one.name, "content": content}
        )  # fmt: skip

    def role(self, one: RestResource, body: Fields) -> list[Item]:
        return attributes(
            {
                "role_id": _last(one),
                "title": body.take("title"),
                "description": body.take("description"),
                "permissions": body.take("includedPermissions"),
                "stage": body.take("stage"),
            }
        )

    def schedule(self, one: RestResource, body: Fields) -> list[Item]:
        call, retries = Fields(body.take("httpTarget"), one.id), Fields(body.take("retryConfig"), one.id)
        body.take("name")
        token = block(
            "oauth_token",
            body=attributes({"service_account_email": call.take("oauthToken")["serviceAccountEmail"]}),
        )
        arguments: list[Item] = attributes(
            {
                "name": _last(one),
                "region": self._addresses.place(one.address.path.split("/")[4]),
                "description": body.take("description"),
                "schedule": body.take("schedule"),
                "time_zone": body.take("timeZone"),
                "attempt_deadline": body.take("attemptDeadline"),
            }
        )
        target = attributes(
            {
                "uri": self._in_this_place(call.take("uri")),
                "http_method": call.take("httpMethod"),
                "headers": call.take("headers"),
                "body": call.take("body"),
            }
        )
        again = attributes(
            {
                "retry_count": retries.take("retryCount"),
                "min_backoff_duration": retries.take("minBackoffDuration"),
                "max_backoff_duration": retries.take("maxBackoffDuration"),
                "max_doublings": retries.take("maxDoublings"),
            }
        )
        call.done()
        retries.done()
        return [*arguments, block("retry_config", body=again), block("http_target", body=[*target, token])]

    def _in_this_place(self, uri: str) -> Code | str:
        """Return an address with the variables of project and region in their places."""
        before, project, path = uri.partition(
            f"/projects/{self._things.project}/locations/{self._things.region}/"
        )
        if not project:
            return uri
        where = self._addresses.place(self._things.region)
        return joined(f"{before}/projects/", PROJECT, "/locations/", where, f"/{path}")

    def _on(self, grant: Grant) -> dict[str, Any]:  # Any: text or Code
        """Return the arguments that name what a grant is on."""
        steps = grant.on.path.split("/")
        if grant.on.api == "cloudresourcemanager":
            return {"project": Code("var.project")}
        if grant.on.api == "artifactregistry":
            repository = self._addresses.by_id(f"repository/{steps[-1]}", "name")
            return {"location": self._addresses.place(steps[4]), "repository": repository}
        if grant.on.api == "storage":
            return {"bucket": self._addresses.by_id(f"bucket/{steps[-1]}", "name")}
        if grant.on.api == "secretmanager":
            secret = self._things.by_id(f"secret/{steps[-1]}")  # One that is not ours is known by its name.
            return {"secret_id": self._addresses.code(secret, "secret_id") if secret else steps[-1]}
        if grant.on.api == "iam":
            return {
                "service_account_id": self._addresses.by_id(
                    f"service-account/{steps[-1].partition('@')[0]}", "name"
                )
            }
        raise TypeError(f"{type_of(grant)} is not made here")

    def _bucket_name(self, bucket: RestResource) -> Code | str:
        """Return the bucket's name, beginning with the variable of the project wherever that fits."""
        name = _last(bucket)
        start = f"{self._things.project}-"
        return joined(Code("var.project"), f"-{name.removeprefix(start)}") if name.startswith(start) else name


KNOWS: Mapping[str, Callable[[FoundationBlocks, Any, Fields], list[Item] | None]] = {  # Any: the resource of that kind
    ResourceKind.APIS: FoundationBlocks.apis, ResourceKind.ACCOUNT: FoundationBlocks.account, ResourceKind.GRANT: FoundationBlocks.grant,
    ResourceKind.SECRET: FoundationBlocks.secret, ResourceKind.CONFIGURATION: FoundationBlocks.secret, ResourceKind.SECRET_VERSION: FoundationBlocks.secret_version,
    ResourceKind.REPOSITORY: FoundationBlocks.repository, ResourceKind.BUCKET: FoundationBlocks.bucket, ResourceKind.OBJECT: FoundationBlocks.object,
    ResourceKind.ROLE: FoundationBlocks.role, ResourceKind.SCHEDULE: FoundationBlocks.schedule,
}  # fmt: skip


def _several(values: Sequence[str]) -> str:
    return expression(list(values), "  ", wide=True)


def _last(resource: RestResource) -> str:
    return resource.address.path.rpartition("/")[2]
