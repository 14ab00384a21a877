"""Is what was deployed to Cloud Run what was planned?"""

from __future__ import annotations

from homeport.targets.cloudrun.verification.observed_deployment import (
    ObservedDeployment,
)
from homeport.verify.report import Finding, failed, passed, skipped

_GPU = "nvidia.com/gpu"


async def mount(deployed: ObservedDeployment) -> Finding:
    """Check that buckets are mounted read-only: the planned folders of the bucket of weights, the bucket of caches, and no others."""
    volumes = [volume for volume in deployed.revision.get("volumes", ()) if "gcs" in volume]
    planned, caches = deployed.planned.prefixes, deployed.planned.caches
    if not volumes:
        if planned:
            return failed(f"no bucket is mounted; {_listed(planned)} was planned")
        return skipped("no bucket is mounted: the weights come with the image, or are streamed")
    mounted = set()
    for volume in volumes:
        gcs = volume["gcs"]
        options = [str(option) for option in gcs.get("mountOptions", ())]
        if not gcs.get("readOnly"):
            return failed(f"the volume {volume['name']} (gs://{gcs['bucket']}) can be written", volume=volume)
        if any(option in {"rw", "o=rw"} for option in options):
            return failed(f"an option lets the volume {volume['name']} be written", options=options)
        only = next((option[9:].strip("/") for option in options if option.startswith("only-dir=")), "")
        if caches and (gcs["bucket"], only) == (caches, ""):
            continue
        if only not in planned or gcs["bucket"] != deployed.planned.bucket:
            return failed(
                f"what is mounted is {only or 'the whole bucket'} (gs://{gcs['bucket']}), not "
                f"{_listed(planned) or 'nothing'} (gs://{deployed.planned.bucket})",
                options=options,
            )
        mounted.add(only)
    if planned - mounted:
        return failed(f"not mounted: {_listed(planned - mounted)}", volumes=volumes)
    names = ", ".join(dict.fromkeys(f"gs://{volume['gcs']['bucket']}" for volume in volumes))
    return passed(f"{names} read-only, {_listed(planned)} only", volumes=volumes)


async def image(deployed: ObservedDeployment) -> Finding:
    """Check that the image that runs is the planned one, by the digest that Cloud Run resolved."""
    name, planned = deployed.serving.get("name", ""), deployed.planned.image_digest
    digests = [
        status.get("imageDigest", "")
        for status in deployed.revision.get("containerStatuses", ())
        if status.get("name", "") == name
    ]
    if not digests or not digests[0]:
        return skipped("not checked: Cloud Run does not tell the digest of what runs")
    runs = digests[0].rpartition("@")[2]
    if runs != planned:
        return failed(f"the image {runs[:19]}… runs, not {planned[:19]}…", runs=runs, planned=planned)
    return passed(f"{planned[:19]}…", digest=planned)


async def weights(deployed: ObservedDeployment) -> Finding:
    """Check that the weights and adapters that the revision was made for are the planned ones, and lie in the bucket."""
    planned, bucket = deployed.planned, deployed.bucket
    if planned.baked:
        return skipped("the weights come with the image, whose digest is a check of its own")
    made_for = deployed.revision.get("annotations", {}).get(planned.weights_annotation, "")
    adapted = deployed.revision.get("annotations", {}).get(planned.adapters_annotation, "")
    evidence = {"revision": made_for, "planned": planned.weights_digest, "bucket": bucket.digest}
    if bucket.broken:
        return failed(
            f"not whole: {', '.join(bucket.broken)}. Its manifest or a file of it is missing or another; "
            "`homeport up --on cloudrun` brings it again",
            broken=bucket.broken,
            **evidence,
        )
    # What is not known because the bucket was not read cannot be compared.
    if adapted != planned.adapters and (planned.adapters or not bucket.unread):
        was, now = adapted or "no adapters", planned.adapters or "none"
        return failed(f"the revision was made for {was}, not for {now}", **evidence)
    if not made_for or (made_for != planned.weights_digest and (planned.weights_digest or not bucket.unread)):
        was = f"{made_for[:12]}…" if made_for else "no weights that it names"
        expected = f", not {planned.weights_digest[:12]}…" if planned.weights_digest else ""
        return failed(f"the revision was made for {was}{expected}", **evidence)
    if bucket.unread:
        return skipped(f"the revision names them; the bucket was not read: {bucket.unread}", **evidence)
    if not bucket.digest:
        return failed("there is no manifest of the weights in the bucket", **evidence)
    if bucket.digest != planned.weights_digest:
        return failed(f"the manifest in the bucket is {bucket.digest[:12]}…, another", **evidence)
    count = len(planned.adapters.split())
    beside = f", and {count} adapter{'s' if count > 1 else ''}" if count else ""
    return passed(
        f"manifest {planned.weights_digest[:12]}…{beside}, in the bucket as on the revision", **evidence
    )


async def size(deployed: ObservedDeployment) -> Finding:
    """Check that GPU, concurrency and the most instances are as planned."""
    planned, revision = deployed.planned, deployed.revision
    actual = {
        "GPU": revision.get("nodeSelector", {}).get("accelerator", "none"),
        "GPUs": deployed.serving.get("resources", {}).get("limits", {}).get(_GPU, "0"),
        "concurrency": revision.get("maxInstanceRequestConcurrency"),
        "max_instances": _most(deployed),
        "zonal_redundancy": not revision.get("gpuZonalRedundancyDisabled", False),
    }
    expected = {
        "GPU": planned.gpu,
        "GPUs": "1",
        "concurrency": planned.concurrency,
        "max_instances": planned.max_instances,
        "zonal_redundancy": planned.zonal_redundancy,
    }
    wrong = [
        f"{key} is {actual[key]}, not {value}" for key, value in expected.items() if actual[key] != value
    ]
    if wrong:
        return failed("; ".join(wrong), seen=actual, planned=expected)
    return passed(
        f"{planned.gpu}, {planned.concurrency} requests at once, {planned.max_instances} instances at most",
        **actual,
    )


def _most(deployed: ObservedDeployment) -> int | None:
    """Return the smaller of the limits of the service and of the revision; None where there is neither."""
    limits = [
        resource.get("scaling", {}).get("maxInstanceCount")
        for resource in (deployed.service, deployed.revision)
    ]
    return min((int(limit) for limit in limits if limit), default=None)


def _listed(names: frozenset[str]) -> str:
    return " and ".join(sorted(names))
