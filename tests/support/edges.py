"""A load balancer before a deployed model, in a cloud of the test's own process; and certificates to show."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cloud import act
from deployers import AppliedPlan, Deployer
from deployment import google_for
from homeport import spec
from homeport.google import Google
from homeport.home import find_home
from homeport.progress import Silent
from homeport.reconcile import Plan
from homeport.resources.google.traffic import Body
from homeport.targets.cloudrun.edge.backends import FrontEndpoint, NamedBackend, find_backends
from homeport.targets.cloudrun.edge.load_balancer import EdgeParts, EndpointEdge
from homeport.targets.cloudrun.edge.own import is_ip
from homeport.targets.cloudrun.model_selection import ResolvedModel, choose
from homeport.targets.cloudrun.preflight import PreflightFinding
from homeport.targets.cloudrun.preflight.networks import paths_of
from homeport.targets.cloudrun.target import CloudRunTarget

DOMAIN = "llm.example.com"


def _called(host: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(host)) if is_ip(host) else x509.DNSName(host)


def write_certificate(
    folder: Path, name: str = DOMAIN, *more: str, days: int = 30, is_authority: bool = True
) -> tuple[Path, Path]:
    """A certificate of a name or an address, and more, that signs itself, and its key, as files of PEM; it holds for so many days more."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1) + min(timedelta(days=days), timedelta()))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_called(one) for one in (name, *more)]), critical=False)
        .add_extension(
            x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True
        )
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, private


def shown_before_it_goes(plan: Plan) -> None:
    """The proxy shows the new certificate of Google's before the old one is taken away."""
    kinds = [(one.kind.value, one.resource.kind) for one in plan.pending]
    shown = kinds.index(("update", "HTTPS proxy"))
    assert (
        kinds.index(("create", "managed certificate"))
        < shown
        < kinds.index(("delete", "managed certificate"))
    )


def behind_its_edge(target: CloudRunTarget, *behind: NamedBackend) -> CloudRunTarget:
    """
    The target with the load balancer of its file, which is taken to answer; as it is where it has none. A certificate of its own
    is no more than a text.
    """
    edge = target.spec.edge
    if edge is None:
        return target

    async def ask(_: Body) -> str:
        return ""

    parts = EdgeParts(
        google=target.google, names=target.names, edge=edge, base=Path(), read=lambda reference, *_: f"{reference} as PEM",
        behind=behind, network=paths_of(target.preflight_input()) if edge.kind == "internal" else ("", ""),
    )  # fmt: skip
    return replace(
        target,
        edge=EndpointEdge(parts=parts, ask=ask, prove=target.prove, is_isolated=target.spec.access.isolated),
    )


class WithEdge(Deployer):
    """Deploys a model behind a load balancer, which says what stands in `answers` until that is used up, and then answers."""

    def __init__(self, engine: str, folder: Path, answers: Iterable[str] = ()) -> None:
        super().__init__(engine)
        self.folder = folder
        self.answers = list(answers)
        self.breaks_when_it_answers = False
        self.found: tuple[NamedBackend, ...] = ()
        """The other endpoints that its file names."""
        self.asked_while: list[str] = []
        """From where the service took requests whenever the edge was asked."""

    def behind(self, **edge: object) -> spec.Spec:
        """The file with an `[edge]`: by default with Google's certificate."""
        wanted = self.wanted()
        return spec.parse({**wanted.model_dump(), "edge": {"domain": DOMAIN, **edge}})

    def own(self, host: str = DOMAIN) -> dict[str, str]:
        """Keys of `[edge]` for a certificate of one's own."""
        certificate, key = write_certificate(self.folder, host)
        return {"certificate": f"file:{certificate}", "private_key": f"file:{key}"}

    def target(
        self, google: Google, chosen: ResolvedModel, wanted: spec.Spec, *, canary: tuple[int, ...] = ()
    ) -> CloudRunTarget:
        return self.behind_edge(super().target(google, chosen, wanted, canary=canary))

    def up(self, wanted: spec.Spec, *, canary: tuple[int, ...] = ()) -> AppliedPlan:
        edge = wanted.edge
        if edge is not None:
            self.found = act(find_backends(google_for(self.cloud), edge, "europe-west4"))
        return super().up(wanted, canary=canary)

    def target_of(self, wanted: spec.Spec) -> CloudRunTarget:
        """What that file comes to, with the other endpoints that are there."""
        if wanted.edge is not None:
            self.found = act(find_backends(google_for(self.cloud), wanted.edge, "europe-west4"))
        chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
        return self.target(google_for(self.cloud), chosen, wanted)

    def told(self, wanted: spec.Spec) -> list[PreflightFinding]:
        """What is found of the edge before anything is made."""
        target = self.target_of(wanted)

        async def work() -> list[PreflightFinding]:
            edge = target.edge
            front = FrontEndpoint(guarded=False, model=target.launch.model, public=wanted.access.public)
            return list(edge.findings(front)) if edge else []

        return act(work())

    def behind_edge(self, target: CloudRunTarget) -> CloudRunTarget:
        """The target with the load balancer of its file."""
        google, wanted = target.google, target.spec
        if wanted.edge is None:
            return target

        async def ask(service: Body) -> str:
            self.asked_while.append(str(service.get("ingress")))
            self.broken = self.broken or self.breaks_when_it_answers
            return self.answers.pop(0) if self.answers else ""

        parts = EdgeParts(
            google=google,
            names=target.names,
            edge=wanted.edge,
            base=self.folder,
            behind=self.found,
            network=paths_of(target.preflight_input()),
        )
        kept = self.service
        edge = EndpointEdge(
            parts=parts,
            ask=ask,
            prove=target.prove,
            service=kept or {},
            led=target.beside_it.led,
            is_isolated=wanted.access.isolated,
        )
        return replace(target, edge=edge)
