"""What of a load balancer the user brings: a certificate, and without a domain the address that it names."""

from __future__ import annotations

import os
import ssl
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from tempfile import NamedTemporaryFile

from homeport.errors import HomeportError
from homeport.google import Google
from homeport.json_types import Json
from homeport.secret import Secret
from homeport.spec import Edge
from homeport.targets.cloudrun.preflight.finding import (
    PreflightFinding,
    not_checked,
    ok,
    problem,
    unseen,
    warning,
)

_SOON = timedelta(days=14)
_SUBJECT = "edge/certificate"
_UNKNOWN = frozenset({18, 19, 20, 21})
"""OpenSSL's codes for a certificate that leads to none of those that are trusted."""
_ANEW = "renew it, let edge.certificate and edge.private_key lead to the new pair, and say `homeport up --on cloudrun`: it is shown before the old one goes"


def is_ip(host: str) -> bool:
    """Tell whether a host is an address, and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def certificate_findings(pem: str, host: str, now: datetime | None = None) -> Iterator[PreflightFinding]:
    """Yield whether a certificate of the user's own, which comes first in `pem`, is for a host, and for how long: Google takes any."""
    from cryptography import x509

    now = now or datetime.now(UTC)
    try:
        certificate = x509.load_pem_x509_certificates(pem.encode())[0]
        names = _names(certificate)
    except ValueError as error:
        yield problem(
            _SUBJECT,
            f"edge.certificate is no certificate: {error}",
            "export it as PEM, with its chain behind it",
        )
        return
    ends, begins = certificate.not_valid_after_utc, certificate.not_valid_before_utc
    until = f"{ends:%Y-%m-%d %H:%M} UTC"
    if not _is_named(host, names):
        text = f"edge.certificate is for {', '.join(names) or 'no name'}, and not for {host}: every client would refuse it"
        kind = "IP" if is_ip(host) else "DNS"
        yield problem(_SUBJECT, text, f"have one made whose subjectAltName has {kind}:{host}")
    elif now >= ends:
        yield problem(
            _SUBJECT, f"edge.certificate has run out at {until}: every client would refuse it", _ANEW
        )
    elif now < begins:
        text = f"edge.certificate holds from {begins:%Y-%m-%d %H:%M} UTC on alone: every client would refuse it until then"
        yield problem(_SUBJECT, text, "wait until then, or have another one made")
    elif now >= ends - _SOON:
        yield warning(_SUBJECT, f"edge.certificate runs out at {until}, and clients refuse it then", _ANEW)
    else:
        yield ok(_SUBJECT, f"it is for {host}, until {until}")


def trust_findings(pem: str, key: Secret, host: str, judged_by: ssl.SSLContext) -> Iterator[PreflightFinding]:
    """Yield a warning where this machine, asked at a host, refuses what shows a certificate: `up` would wait for an answer in vain."""
    try:
        server = _showing(pem, key)
    except (OSError, ValueError) as error:
        yield not_checked(
            _SUBJECT, f"whether clients take it: it cannot be shown with edge.private_key: {error}"
        )
        return
    try:
        _shake(server, judged_by, host)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in _UNKNOWN:
            text = "nothing in this machine's list of authorities has signed edge.certificate"
            hint = "put it, or who has signed it, behind that list in a file of your own, and let SSL_CERT_FILE lead there (docs/edge.md)"
        else:
            text = f"this machine refuses edge.certificate ({error.verify_message})"
            hint = "have one made that clients take, or say what this machine is to trust (docs/edge.md)"
        yield warning(
            _SUBJECT, f"{text}: `up` and `verify` would refuse what it is shown by, as any client", hint
        )
    except ssl.SSLError as error:
        yield not_checked(_SUBJECT, f"whether clients take it: no connection comes of it here: {error}")


def _showing(pem: str, key: Secret) -> ssl.SSLContext:
    """Return a server's context that shows a certificate with its chain. Raises `OSError` or `ValueError` where the key is not its own, or wants a password."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    reads, writes = os.pipe()
    os.set_blocking(writes, False)  # What is too long for a key is no reason to wait.
    try:
        with NamedTemporaryFile("w", suffix=".pem") as shown, os.fdopen(writes, "w") as told:
            shown.write(pem)
            shown.flush()
            # OpenSSL reads files alone, and the key is to be in none of ours.
            told.write(key.reveal())
            told.close()
            context.load_cert_chain(shown.name, f"/dev/fd/{reads}", password=lambda: "")
    finally:
        os.close(reads)
    return context


def _shake(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> None:
    """Let both shake hands over no network. Raises `SSLError` for what either has against the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    served = server.wrap_bio(to_server, to_client, server_side=True)
    asked = client.wrap_bio(to_client, to_server, server_hostname=host)
    done: set[ssl.SSLObject] = set()
    while len(done) < len((asked, served)):
        for side in (asked, served):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
                done.add(side)


async def address_findings(
    google: Google, edge: Edge, region: str, own: Collection[str]
) -> list[PreflightFinding]:
    """
    Return whether the address of the file is reserved in the project, where its load balancer is, and free for it; nothing where it names none.

    `own` are the names of the rules that may have it already.
    """
    if not edge.ip:
        return []
    subject, place = f"address/{edge.ip}", f"regions/{region}" if region else "global"
    path = f"compute/v1/projects/{google.project}/{place}/addresses"
    try:
        found = [one async for one in google.pages("compute", path, "items") if one.get("address") == edge.ip]
    except HomeportError as error:
        return [unseen(subject, error)]
    if not found:
        text = f"{edge.ip} is no address that is reserved in the project, {f'in {region}' if region else 'as a global one'}"
        return [
            problem(
                subject, text, f"{_reserving(edge, region)} reserves one, of which Google says which it is"
            )
        ]
    one = next((one for one in found if not _misfits(one, edge, region)), found[0])
    if misfits := _misfits(one, edge, region):
        text = f"{edge.ip} is reserved as {one['name']}, and not as its load balancer must have it: {'; '.join(misfits)}"
        return [problem(subject, text, f"{_reserving(edge, region)} reserves one that fits")]
    users = [str(user).rpartition("/")[2] for user in one.get("users", ())]
    if others := sorted(set(users) - set(own)):
        text = f"{edge.ip} is used by {', '.join(others)}"
        return [problem(subject, text, "take another one, or take that away first")]
    return [ok(subject, f"it is reserved as {one['name']}")]


def _misfits(address: Mapping[str, Json], edge: Edge, region: str) -> list[str]:
    """Return what of a reserved address keeps the rules of a load balancer from it, which Google refuses as the last of its parts."""
    live = {"addressType": "EXTERNAL", "networkTier": "PREMIUM", **address}
    if edge.kind == "internal":
        wanted = {"addressType": "INTERNAL", "purpose": "SHARED_LOADBALANCER_VIP"}
    else:
        wanted = {"addressType": "EXTERNAL", "networkTier": "STANDARD" if region else "PREMIUM"}
    return [
        f"{key} is {live.get(key)}, not {value}" for key, value in wanted.items() if live.get(key) != value
    ]


def _reserving(edge: Edge, region: str) -> str:
    if edge.kind == "internal":
        return f"`gcloud compute addresses create NAME --region={region} --subnet=SUBNETWORK --purpose=SHARED_LOADBALANCER_VIP`"
    where = f"--region={region} --network-tier=STANDARD" if region else "--global"
    return f"`gcloud compute addresses create NAME {where}`"


def _names(certificate: object) -> list[str]:
    """Return the hosts that a certificate is for: since RFC 6125 its subject counts for none. Raises `ValueError`."""
    from cryptography import x509

    assert isinstance(certificate, x509.Certificate)
    try:
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = (str(address) for address in named.get_values_for_type(x509.IPAddress))
    return [*named.get_values_for_type(x509.DNSName), *addresses]


def _is_named(host: str, names: Collection[str]) -> bool:
    if is_ip(host):
        return host in names
    lowered = {name.lower() for name in names}
    return host in lowered or f"*.{host.partition('.')[2]}" in lowered


__all__ = ["address_findings", "certificate_findings", "is_ip", "trust_findings"]
