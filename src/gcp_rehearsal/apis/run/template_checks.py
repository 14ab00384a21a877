"""Whether what is to run can run: containers, ports, environment, probes, volumes, networks, GPUs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from gcp_rehearsal.apis.run.sizes import GPU, bytes_of, limits, milli, seconds, shown, size_of
from gcp_rehearsal.apis.run.status import Wrong
from gcp_rehearsal.errors import unimplemented
from gcp_rehearsal.facts import cloud_run
from gcp_rehearsal.json_types import Json

Body = Mapping[str, Json]

RESERVED_ENV = ("PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION")
_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_ENV = re.compile(r"[^=\x00]+")
_ACCOUNT = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_KEY = re.compile(r"projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+")
_SQL = re.compile(r"(?:[a-z0-9.-]+:)?[a-z0-9-]+:[a-z0-9-]+:[a-z0-9-]+")
_CONNECTOR = re.compile(r"(?:projects/[^/]+/locations/([^/]+)/connectors/)?[a-z][-a-z0-9]*")
_MI, _GI = 2**20, 2**30
_SYSTEM = ("/dev", "/proc", "/sys")
_SOURCES = ("gcs", "secret", "emptyDir", "nfs", "cloudSqlInstance", "filestore")
_ELSEWHERE = {
    "sourceCode": "containers[].sourceCode", "buildConfig": "containers[].buildConfig",
    "baseImageUri": "containers[].baseImageUri", "sandboxLauncher": "containers[].sandboxLauncher",
}  # fmt: skip
_NOT_ACTED = ("sandboxes", "serviceMesh", "ambientNetworking", "workloadIdentityConfig")
_MEMORY_HELP = (
    "For more troubleshooting guidance, see https://cloud.google.com/run/docs/configuring/memory-limits"
)


def check_template(template: Body, region: str, base: str, wrong: Wrong, *, job: bool = False) -> None:
    """Add whatever is wrong with a revision's or a task's template; `base` is its path."""
    refuse_what_is_not_acted(template)
    containers = template.get("containers") or []
    if not containers:
        wrong.say(f"{base}.containers", "Revision template should contain at least one container.")
    most = cloud_run.service_limits().largest_containers
    if len(containers) > most:
        wrong.say(f"{base}.containers", f"Revision template should contain at most {most} containers.")
    volumes = _check_volumes(template.get("volumes", ()), f"{base}.volumes", wrong)
    gpu = bool(template.get("nodeSelector", {}).get("accelerator")) or size_of(containers).gpus > 0
    for place, container in enumerate(containers):
        path = f"{base}.containers[{place}]"
        _check_container(container, path, wrong, job=job)
        _check_mounts(container.get("volumeMounts", ()), volumes, f"{path}.volume_mounts", wrong)
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe in container:
                _check_probe(container[probe], f"{path}.{_snake(probe)}", wrong, gpu=gpu, kind=probe)
    _check_names(containers, f"{base}.containers", wrong)
    _check_sizes(containers, base, wrong, gpu=gpu)
    if gpu:
        _check_gpu(template, region, base, wrong)
    _check_network(template.get("vpcAccess", {}), region, f"{base}.vpc_access", wrong)
    key = template.get("encryptionKey")
    if key and _key_region(key) != region:
        wrong.say(f"{base}.encryption_key", f"Invalid KMS key {key}: it must be one of {region}.")
    account = template.get("serviceAccount")
    if account and not _ACCOUNT.fullmatch(account):
        wrong.say(f"{base}.service_account", f"Invalid service account email: {account}")


def _key_region(key: str) -> str:
    match = _KEY.fullmatch(key)
    return match[1] if match else ""


def refuse_what_is_not_acted(template: Body) -> None:
    """Raise `ApiError` 501 for what the rehearsal does not act out, rather than taking it silently."""
    for key in _NOT_ACTED:
        if template.get(key):
            raise unimplemented(f"template.{key}")
    for container in template.get("containers") or ():
        for key, name in _ELSEWHERE.items():
            if container.get(key):
                raise unimplemented(name)
        _refuse_probes_by_grpc(container)
    for volume in template.get("volumes", ()):
        if "filestore" in volume:
            raise unimplemented("volumes[].filestore")


def _refuse_probes_by_grpc(container: Body) -> None:
    for key in ("startupProbe", "livenessProbe"):
        if "grpc" in container.get(key, {}):
            raise unimplemented(f"containers[].{key}.grpc")


def _check_container(container: Body, path: str, wrong: Wrong, *, job: bool) -> None:
    if not container.get("image"):
        wrong.say(f"{path}.image", "Image is required.")
    ports = container.get("ports", ())
    if job and ports:
        wrong.say(f"{path}.ports", "Ports are not supported for jobs.")
    if len(ports) > 1:
        wrong.say(f"{path}.ports", "ports should contain 0 or 1 port.")
    for port in ports:
        if not 1 <= port.get("containerPort", 8080) <= 65535:
            wrong.say(f"{path}.ports[0].container_port", "Port number must be in the range 1 to 65535.")
        if port.get("name") not in {None, "", "http1", "h2c"}:
            wrong.say(f"{path}.ports[0].name", 'Port name must be "http1" or "h2c".')
    _check_env(container.get("env", ()), f"{path}.env", wrong, reserved=() if job else RESERVED_ENV)


def _check_env(env: Sequence[Body], path: str, wrong: Wrong, *, reserved: tuple[str, ...]) -> None:
    provided = [variable["name"] for variable in env if variable.get("name") in reserved]
    if provided:
        wrong.say(
            path,
            f"The following reserved env names were provided: {', '.join(provided)}. "
            "These values are automatically set by the system.",
        )
    for place, variable in enumerate(env):
        name = variable.get("name", "")
        if not _ENV.fullmatch(name) or len(name) > 32768:
            wrong.say(
                f"{path}[{place}].name", "Environment variable name is required and cannot contain '='."
            )
        if "value" in variable and "valueSource" in variable:
            wrong.say(f"{path}[{place}]", "Only one of value and value_source may be set.")
        source = variable.get("valueSource", {}).get("secretKeyRef")
        if "valueSource" in variable and not (source or {}).get("secret"):
            wrong.say(f"{path}[{place}].value_source.secret_key_ref.secret", "Secret name is required.")
    for name, count in Counter(variable.get("name") for variable in env).items():
        if count > 1:
            wrong.say(path, f"Environment variable '{name}' is set more than once.")


def _check_names(containers: Sequence[Body], path: str, wrong: Wrong) -> None:
    names = [container.get("name", "") for container in containers]
    for place, name in enumerate(names):
        if name and not _LABEL.fullmatch(name):
            wrong.say(f"{path}[{place}].name", f"Container name '{name}' must be a DNS label.")
        if name and names.index(name) != place:
            wrong.say(f"{path}[{place}].name", f"Container name '{name}' is used more than once.")
    known = {container["name"]: container for container in containers if container.get("name")}
    for place, container in enumerate(containers):
        for other in container.get("dependsOn", ()):
            where = f"{path}[{place}].depends_on"
            if other not in known:
                wrong.say(where, f"Container '{other}' does not exist.")
            elif not known[other].get("ports") and "startupProbe" not in known[other]:
                wrong.say(where, f"Dependent container '{other}' must have startup probe specified")
    needs = {
        container.get("name", ""): set(container.get("dependsOn", ())) & set(known)
        for container in containers
    }
    while ready := [name for name, others in needs.items() if not others]:
        needs = {name: others - set(ready) for name, others in needs.items() if name not in ready}
    if needs:
        wrong.say(path, f"Container dependencies form a cycle: {', '.join(sorted(needs))}.")


def _check_sizes(containers: Sequence[Body], base: str, wrong: Wrong, *, gpu: bool) -> None:
    sound = True
    for place, container in enumerate(containers):
        path = f"{base}.containers[{place}].resources.limits"
        for key, value in limits(container).items():
            read = {"cpu": milli, "memory": bytes_of, GPU: bytes_of}.get(key)
            if read is None:
                wrong.say(
                    f"{path}.{key}",
                    f"Invalid resource limit '{key}': only cpu, memory and {GPU} are supported.",
                )
            elif not read(value):
                sound = False
                wrong.say(f"{path}.{key}", f"Invalid value specified for {key}: '{value}'.")
    if gpu or not sound or not containers:
        return  # A GPU has rules of its own.
    path = f"{base}.containers[0].resources.limits" if len(containers) == 1 else f"{base}.containers"
    total = size_of(containers)
    sizes = cloud_run.memory_of_cpus()
    if total.cpu > max(sizes) or (len(containers) == 1 and total.cpu >= 1000 and total.cpu not in sizes):
        wrong.say(
            f"{path}.cpu",
            f"Invalid value specified for cpu. For {total.cpu / 1000:g} CPU: must be less than 1, or 1, 2, 4, 6 or 8.",
        )
        return
    least, most = _memory_for(total.cpu)
    if not (least if len(containers) == 1 else 0) <= total.memory <= most:
        wrong.say(
            f"{path}.memory",
            f"Invalid value specified for container memory. For {total.cpu / 1000:.1f} CPU, memory must be between "
            f"{shown(least)} and {shown(most)} inclusive.\n{_MEMORY_HELP}",
        )


def _memory_for(cpu: int) -> tuple[int, int]:
    if cpu <= 500:
        return 128 * _MI, 512 * _MI
    if cpu < 1000:
        return 128 * _MI, _GI
    return next(memory for step, memory in cloud_run.memory_of_cpus().items() if cpu <= step)


def _check_gpu(template: Body, region: str, base: str, wrong: Wrong) -> None:
    """Check GPU, node selector and limits by Google's rules; the words are the rehearsal's."""
    name = template.get("nodeSelector", {}).get("accelerator", "")
    gpu = cloud_run.gpu_type(name)
    containers = template.get("containers") or []
    having = [place for place, container in enumerate(containers) if limits(container).get(GPU)]
    if not name:
        wrong.say(f"{base}.node_selector", "A GPU type is required in the node selector to use GPUs.")
    elif gpu is None:
        known = ", ".join(kind.name for kind in cloud_run.gpu_types())
        wrong.say(
            f"{base}.node_selector.accelerator", f"Unsupported GPU type '{name}'. Supported types: {known}."
        )
    elif region not in gpu.regions:
        wrong.say(
            f"{base}.node_selector.accelerator", f"GPU type '{name}' is not available in region '{region}'."
        )
    if len(having) != 1 or limits(containers[having[0]])[GPU] != "1":
        wrong.say(
            f"{base}.containers", f"Exactly one container must have a limit of {GPU}, and it must be 1."
        )
        return
    container, path = containers[having[0]], f"{base}.containers[{having[0]}].resources"
    if container.get("resources", {}).get("cpuIdle"):
        wrong.say(f"{path}.cpu_idle", "GPUs require instance-based billing: cpu_idle must be false.")
    if gpu is not None:
        size, least = size_of([container]), gpu.least
        if size.cpu < least.cpu * 1000 or size.memory < least.memory_gib * _GI:
            wrong.say(
                f"{path}.limits",
                f"GPU type '{name}' requires at least {least.cpu} CPU and {least.memory_gib}Gi memory.",
            )
        most = gpu.most
        if size.cpu > most.cpu * 1000 or size.memory > most.memory_gib * _GI:
            wrong.say(
                f"{path}.limits",
                f"GPU type '{name}' allows at most {most.cpu} CPU and {most.memory_gib}Gi memory.",
            )


def _check_probe(probe: Body, path: str, wrong: Wrong, *, gpu: bool, kind: str) -> None:
    known = cloud_run.probe_limits()
    startup = known.startup_gpu_s if gpu else known.startup_s
    longest = startup if kind == "startupProbe" else known.other_s
    actions = [key for key in ("httpGet", "tcpSocket", "grpc") if key in probe]
    if len(actions) > 1 or (kind != "startupProbe" and not actions):
        wrong.say(path, "Exactly one of http_get, tcp_socket or grpc must be specified.")
    if kind == "livenessProbe" and "tcpSocket" in probe:
        wrong.say(f"{path}.tcp_socket", "TCP probes are not supported for liveness.")
    period, timeout = probe.get("periodSeconds") or 10, probe.get("timeoutSeconds") or 1
    threshold = probe.get("failureThreshold") or 3
    for key, value, least in (
        ("initial_delay_seconds", probe.get("initialDelaySeconds", 0), 0),
        ("period_seconds", period, 1),
        ("timeout_seconds", timeout, 1),
    ):
        if not least <= value <= longest:
            wrong.say(f"{path}.{key}", f"{key} must be between {least} and {longest}.")
    if threshold < 1:
        wrong.say(f"{path}.failure_threshold", "failure_threshold must be at least 1.")
    if timeout > period:
        wrong.say(f"{path}.timeout_seconds", "timeout_seconds must not be greater than period_seconds.")
    if kind == "startupProbe" and threshold * period > longest:
        wrong.say(path, f"failure_threshold * period_seconds must not be greater than {longest} seconds.")


def _check_volumes(volumes: Sequence[Body], path: str, wrong: Wrong) -> set[str]:
    names = [volume.get("name", "") for volume in volumes]
    for place, volume in enumerate(volumes):
        where, name = f"{path}[{place}]", names[place]
        if not _LABEL.fullmatch(name):
            wrong.say(f"{where}.name", "Volume name is required and must be a DNS label.")
        elif names.index(name) != place:
            wrong.say(f"{where}.name", f"Volume name '{name}' is used more than once.")
        if len([source for source in _SOURCES if source in volume]) != 1:
            wrong.say(where, "Exactly one volume source must be specified.")
        if "gcs" in volume and not volume["gcs"].get("bucket"):
            wrong.say(f"{where}.gcs.bucket", "Bucket name is required.")
        for option in volume.get("gcs", {}).get("mountOptions", ()):
            if option.startswith("-"):
                wrong.say(f"{where}.gcs.mount_options", f"Mount option '{option}' must not begin with '-'.")
        if "secret" in volume and not volume["secret"].get("secret"):
            wrong.say(f"{where}.secret.secret", "Secret name is required.")
        _check_remote(volume, where, wrong)
        size = volume.get("emptyDir", {}).get("sizeLimit")
        if size and bytes_of(size) is None:
            wrong.say(f"{where}.empty_dir.size_limit", f"Invalid value specified for size_limit: '{size}'.")
    return set(names)


def _check_remote(volume: Body, where: str, wrong: Wrong) -> None:
    """Check what is mounted from NFS and Cloud SQL; the words are the rehearsal's."""
    share = volume.get("nfs")
    if share is not None and not share.get("server"):
        wrong.say(f"{where}.nfs.server", "Server is required.")
    if share is not None and not str(share.get("path", "")).startswith("/"):
        wrong.say(f"{where}.nfs.path", "Path is required and must be absolute.")
    for instance in volume.get("cloudSqlInstance", {}).get("instances", ()):
        if not _SQL.fullmatch(instance):
            wrong.say(
                f"{where}.cloud_sql_instance.instances",
                f"Invalid connection name '{instance}': it must be PROJECT:REGION:INSTANCE.",
            )


def _check_mounts(mounts: Sequence[Body], volumes: set[str], path: str, wrong: Wrong) -> None:
    for place, mount in enumerate(mounts):
        where, target = f"{path}[{place}]", mount.get("mountPath", "")
        if mount.get("name", "") not in volumes:
            wrong.say(f"{where}.name", f"Volume '{mount.get('name', '')}' is not defined.")
        if not target.startswith("/") or ":" in target:
            wrong.say(f"{where}.mount_path", "Mount path must be absolute and must not contain ':'.")
        elif target == "/" or any(target == root or target.startswith(f"{root}/") for root in _SYSTEM):
            wrong.say(f"{where}.mount_path", f"Mount path '{target}' is reserved.")


def _check_network(access: Body, region: str, path: str, wrong: Wrong) -> None:
    interfaces = access.get("networkInterfaces", ())
    connector = access.get("connector", "")
    match = _CONNECTOR.fullmatch(connector)
    if connector and (match is None or match[1] not in {None, region}):
        wrong.say(f"{path}.connector", f"Invalid VPC connector '{connector}': it must be one of {region}.")
    if connector and interfaces:
        wrong.say(path, "Only one of connector and network_interfaces may be set.")
    if len(interfaces) > 1:
        wrong.say(f"{path}.network_interfaces", "Only one network interface is supported.")
    for interface in interfaces:
        if not interface.get("network") and not interface.get("subnetwork"):
            wrong.say(
                f"{path}.network_interfaces[0]", "At least one of network and subnetwork must be specified."
            )


def check_timeout(text: str | None, most: int, path: str, wrong: Wrong) -> None:
    """Add it where a timeout is longer than is allowed."""
    if text and not 0 < seconds(text) <= most:
        wrong.say(path, f"Timeout must be greater than 0 and at most {most} seconds.")


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])[A-Z]", lambda match: f"_{match[0].lower()}", name)
