"""A door to a rehearsed cloud, and a graph of the size and shape of a deployment's; the real ones are in ways.py."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gcp_rehearsal.cloud import OWNER, Cloud
from homeport.google import Google, IamResource, Settings
from homeport.google.credentials import from_access_token
from homeport.google.validation import by_documents
from homeport.reconcile import Ref, Resource
from homeport.resources.google.apis import Apis
from homeport.resources.google.bucket import bucket
from homeport.resources.google.dns import record, zone
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.network import network, subnetwork
from homeport.resources.google.object import Object
from homeport.resources.google.repository import repository
from homeport.resources.google.rest import RestResource
from homeport.resources.google.secret import SecretVersion, secret
from homeport.resources.google.service import ServiceIdentity, service
from homeport.resources.google.service_account import account
from homeport.secret import Secret
from straight import Straight

NAME, REGION, PROJECT = "home", "us-central1", "rehearsal"
APIS = (
    "artifactregistry", "cloudbuild", "cloudresourcemanager", "compute", "dns", "iam", "run", "secretmanager",
    "storage",
)  # fmt: skip


def google_for(
    cloud: Cloud, *, caller: str = OWNER, latency: float = 0.0, settings: Settings | None = None
) -> Google:
    """The door to a rehearsed cloud, with every request checked before it is sent."""
    return Google(
        from_access_token(cloud.token(caller), caller),
        project=PROJECT,
        transport=Straight(cloud, latency=latency),
        settings=settings or Settings(),
        validator=by_documents(),
    )


@dataclass(frozen=True)
class Wish:
    """What may differ between two deployments."""

    token: str = "hf_first"
    concurrency: int = 4
    manifest: bytes = b'{"model": "gemma"}'
    tag: str = "abc123"


def deployment(google: Google, wish: Wish = Wish()) -> list[Resource]:
    """Some thirty things, with the needs that they have of each other."""
    apis = Apis(google=google, services=tuple(f"{api}.googleapis.com" for api in APIS))
    things: list[Resource] = [
        *(account(google, NAME, f"{NAME}-{role}", f"homeport {NAME}: {role}") for role in ("build", "weights", "run")),
        secret(google, NAME, f"{NAME}-token", REGION),
        SecretVersion(google=google, secret_id=f"{NAME}-token", value=Secret(wish.token)),
        repository(google, NAME, NAME, REGION),
        bucket(google, NAME, f"{PROJECT}-{NAME}-weights", REGION),
        Object(google=google, bucket=f"{PROJECT}-{NAME}-weights", name="models/manifest.json", content=wish.manifest),
        *_network(google),
        *_grants(google),
        _image(google, wish),
        _service(google, wish),
        Grant(
            google=google, role="roles/run.servicesInvoker", member=f"user:{OWNER}",
            on=IamResource(api="run", path=f"v2/projects/{PROJECT}/locations/{REGION}/services/{NAME}"),
            known_as=f"service/{NAME}", needs=(f"service/{NAME}",),
        ),
    ]  # fmt: skip
    return [
        apis, *(replace(one, after=(apis.id, *one.after)) if isinstance(one, RestResource | ContainerImage) else one for one in things)
    ]  # fmt: skip


def _network(google: Google) -> list[Resource]:
    things: list[Resource] = [
        network(google, NAME, NAME),
        subnetwork(google, NAME, NAME, REGION, "10.8.0.0/26"),
    ]
    for dns_name, addresses in (
        ("googleapis.com.", ("199.36.153.8", "199.36.153.9", "199.36.153.10", "199.36.153.11")),
        ("pkg.dev.", ("199.36.153.8", "199.36.153.9", "199.36.153.10", "199.36.153.11")),
    ):
        zone_name = f"{NAME}-{dns_name.strip('.').replace('.', '-')}"
        things += [
            zone(google, NAME, zone_name, dns_name, NAME),
            record(google, NAME, zone_name, dns_name, "A", addresses),
            record(google, NAME, zone_name, f"*.{dns_name}", "CNAME", (dns_name,)),
        ]
    return things


def _grants(google: Google) -> list[Resource]:
    weights, token = f"{PROJECT}-{NAME}-weights", f"{NAME}-token"
    places = {
        "repository": (f"repository/{NAME}", IamResource(api="artifactregistry", path=f"v1/projects/{PROJECT}/locations/{REGION}/repositories/{NAME}")),
        "bucket": (f"bucket/{weights}", IamResource(api="storage", path=f"storage/v1/b/{weights}")),
        "secret": (f"secret/{token}", IamResource(api="secretmanager", path=f"v1/projects/{PROJECT}/secrets/{token}")),
        "project": ("apis", IamResource(api="cloudresourcemanager", path=f"v3/projects/{PROJECT}")),
    }  # fmt: skip
    wanted = (
        ("build", "roles/artifactregistry.writer", "repository"),
        ("build", "roles/logging.logWriter", "project"),
        ("build", "roles/storage.objectUser", "bucket"),
        ("weights", "roles/storage.objectUser", "bucket"),
        ("weights", "roles/secretmanager.secretAccessor", "secret"),
        ("run", "roles/storage.objectViewer", "bucket"),
        ("run", "roles/secretmanager.secretAccessor", "secret"),
        ("run", "roles/monitoring.metricWriter", "project"),
    )
    return [
        Grant(
            google=google,
            role=role,
            member=f"serviceAccount:{NAME}-{who}@{PROJECT}.iam.gserviceaccount.com",
            on=places[where][1],
            known_as=f"project/{PROJECT}" if where == "project" else places[where][0],
            needs=(places[where][0], f"service-account/{NAME}-{who}"),
        )
        for who, role, where in wanted
    ]


def _image(google: Google, wish: Wish) -> ContainerImage:
    email = f"{NAME}-build@{PROJECT}.iam.gserviceaccount.com"
    reference = f"{REGION}-docker.pkg.dev/{PROJECT}/{NAME}/serving:{wish.tag}"
    return ContainerImage(
        google=google,
        repository=NAME,
        region=REGION,
        package="serving",
        tag=wish.tag,
        build={
            "steps": [{"name": "gcr.io/cloud-builders/docker", "args": ["build", "-t", reference, "."]}],
            "serviceAccount": f"projects/{PROJECT}/serviceAccounts/{email}",
            "options": {"logging": "CLOUD_LOGGING_ONLY"},
            "timeout": "1800s",
        },
        after=(*(one.id for one in _grants(google) if f"/{NAME}-build/" in one.id), f"service-account/{NAME}-build"),
    )  # fmt: skip


def _service(google: Google, wish: Wish) -> Resource:
    weights, token = f"{PROJECT}-{NAME}-weights", f"{NAME}-token"
    body = {
        "ingress": "INGRESS_TRAFFIC_ALL",
        "template": {
            "serviceAccount": Ref(f"service-account/{NAME}-run", "email"),
            "maxInstanceRequestConcurrency": wish.concurrency,
            "timeout": "600s",
            "scaling": {"maxInstanceCount": 1},
            "vpcAccess": {
                "egress": "ALL_TRAFFIC",
                "networkInterfaces": [
                    {
                        "network": Ref(f"network/{NAME}", "name"),
                        "subnetwork": Ref(f"subnetwork/{NAME}", "name"),
                    }
                ],
            },
            "volumes": [{"name": "weights", "gcs": {"bucket": weights, "readOnly": True}}],
            "containers": [
                {
                    "name": "serving",
                    "image": Ref("image/serving", "reference"),
                    "resources": {"limits": {"cpu": "4", "memory": "16Gi"}, "cpuIdle": False},
                    "ports": [{"containerPort": 8080}],
                    "env": [
                        {
                            "name": "HF_TOKEN",
                            "valueSource": {"secretKeyRef": {"secret": token, "version": "latest"}},
                        }
                    ],
                    "volumeMounts": [{"name": "weights", "mountPath": "/models"}],
                }
            ],
        },
    }
    after = tuple(one.id for one in _grants(google) if f"/{NAME}-run/" in one.id)
    return service(
        google, ServiceIdentity(endpoint=NAME, region=REGION, released=True), body,
        after=(*after, f"bucket/{weights}", f"secret-version/{token}", f"object/{weights}/models/manifest.json"),
    )  # fmt: skip
