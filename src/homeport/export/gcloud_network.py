"""What gcloud is told of a network of ours: its subnetwork, its way out, and its names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from homeport.export.fields import Fields
from homeport.export.gcloud_commands import GcloudCommands, rule
from homeport.export.graph import ResourceKind
from homeport.resources.google.rest import RestResource


def network(_: RestResource, body: Fields) -> GcloudCommands:
    """Return the commands for a network."""
    routing = body.take("routingConfig", {}).get("routingMode", "REGIONAL").lower()
    mode = "auto" if body.take("autoCreateSubnetworks") else "custom"
    name = body.take("name")
    return GcloudCommands(
        look=("gcloud", "compute", "networks", "describe", name),
        make=("gcloud", "compute", "networks", "create", name, f"--subnet-mode={mode}", f"--bgp-routing-mode={routing}",
              f"--description={body.take('description', '')}"),
    )  # fmt: skip


def subnetwork(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the commands for a subnetwork."""
    name, where = body.take("name"), f"--region={one.address.path.split('/')[5]}"
    private = ["--enable-private-ip-google-access"] if body.take("privateIpGoogleAccess") else []
    for_what = [f"--{key}={value}" for key in ("purpose", "role") if (value := body.take(key))]
    return GcloudCommands(
        look=("gcloud", "compute", "networks", "subnets", "describe", name, where),
        make=("gcloud", "compute", "networks", "subnets", "create", name, where,
              f"--network={body.take('network').rpartition('/')[2]}", f"--range={body.take('ipCidrRange')}", *private, *for_what,
              f"--description={body.take('description', '')}"),
    )  # fmt: skip


def firewall(_: RestResource, body: Fields) -> GcloudCommands:
    """Return the commands for a rule of what may leave a network."""
    name, allowed, denied = body.take("name"), body.take("allowed"), body.take("denied")
    verb = ("gcloud", "compute", "firewall-rules")
    to_change = (
        f"--priority={body.take('priority')}",
        f"--rules={','.join(rule(each) for each in allowed or denied)}",
        f"--destination-ranges={','.join(body.take('destinationRanges'))}",
        f"--description={body.take('description', '')}",
    )
    fixed = (
        f"--network={body.take('network').rpartition('/')[2]}",
        f"--direction={body.take('direction')}",
        f"--action={'ALLOW' if allowed else 'DENY'}",
    )
    return GcloudCommands(
        look=(*verb, "describe", name),
        make=(*verb, "create", name, *fixed, *to_change),
        change=(*verb, "update", name, *to_change),
    )


def zone(_: RestResource, body: Fields) -> GcloudCommands:
    """Return the commands for a private zone."""
    name = body.take("name")
    networks = [
        each["networkUrl"].rpartition("/")[2] for each in body.take("privateVisibilityConfig")["networks"]
    ]
    labels = ",".join(f"{key}={value}" for key, value in body.take("labels", {}).items())
    return GcloudCommands(
        look=("gcloud", "dns", "managed-zones", "describe", name),
        make=("gcloud", "dns", "managed-zones", "create", name, f"--dns-name={body.take('dnsName')}",
              f"--visibility={body.take('visibility')}", f"--networks={','.join(networks)}",
              f"--description={body.take('description', '')}", f"--labels={labels}"),
    )  # fmt: skip


def record(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the commands for what a name leads to."""
    host, where = (
        body.take("name"),
        (f"--zone={one.address.path.split('/')[5]}", f"--type={body.take('type')}"),
    )
    data = (f"--ttl={body.take('ttl')}", f"--rrdatas={','.join(body.take('rrdatas'))}")
    return GcloudCommands(
        look=("gcloud", "dns", "record-sets", "describe", host, *where),
        make=("gcloud", "dns", "record-sets", "create", host, *where, *data),
        change=("gcloud", "dns", "record-sets", "update", host, *where, *data),
    )


KNOWS: Mapping[str, Callable[[RestResource, Fields], GcloudCommands]] = {
    ResourceKind.NETWORK: network,
    ResourceKind.SUBNETWORK: subnetwork,
    ResourceKind.FIREWALL: firewall,
    ResourceKind.ZONE: zone,
    ResourceKind.RECORD: record,
}
