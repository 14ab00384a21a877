"""
What the strings of homeport.toml look like that end in a Dockerfile, a script, an address or a command.

For pydantic, whose `$` is the end of the text and nothing else; Python's would take a newline before it, too.
"""

from __future__ import annotations

_HOST = r"(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])"
_PATH = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
IMAGE = (
    rf"^(?:(?:{_HOST}(?:\.{_HOST})*|\[[A-Fa-f0-9:]+\])(?::[0-9]+)?/)?{_PATH}(?:/{_PATH})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$"
)
"""A reference to an image, by the grammar of the registries: [HOST[:PORT]/]PATH[:TAG][@sha256:DIGEST]."""

_PROJECT = r"[a-z0-9][a-z0-9.:-]{2,60}[a-z0-9]"
_RESOURCE = r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
NETWORK = rf"^(?:projects/{_PROJECT}/global/networks/)?{_RESOURCE}$"
SUBNETWORK = rf"^(?:projects/{_PROJECT}/regions/[a-z0-9-]+/subnetworks/)?{_RESOURCE}$"
IN_REGION = "{region}"
"""Stands in a key's path for the region that the key is used in."""
_OF_KMS = r"(?:[A-Za-z0-9_-]|\{region\}){1,63}"
KEY = rf"^projects/{_PROJECT}/locations/(?:[a-z0-9-]+|\{{region\}})/keyRings/{_OF_KMS}/cryptoKeys/{_OF_KMS}$"
REGION = r"^[a-z]+(?:-[a-z]+)+[0-9]{1,2}$"
REGION_OR_AUTO = r"^auto$|^[a-z]+(?:-[a-z]+)+[0-9]{1,2}$"
WORD = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
"""A name of an engine's: of a parser, or of a quantization."""
AUDIENCE = r"^[A-Za-z0-9][A-Za-z0-9._~:/?&=%+@-]{0,255}$"
MEMBER = r"^(?:user|group|serviceAccount|domain|principal|principalSet):[A-Za-z0-9/][A-Za-z0-9@._%+'*:/=~-]{0,400}$"
HOST = r"^[A-Za-z0-9.:\[][A-Za-z0-9.:%_\]-]*$"
REFERENCE = r"^(?:env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"
"""Where a secret is: the name of a variable, or a path."""
ENDPOINT_KEY = r"^(?:env:[A-Za-z_][A-Za-z0-9_]*|file:.+|none)$"
"""Where an endpoint's key is, or that it asks for none."""
_PORT = "(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
HTTPS_URL = rf"^https://[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.?(?::{_PORT})?(?:/[A-Za-z0-9._~/%+-]*)?$"
DOMAIN = r"^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
IPV4_OR_NONE = rf"^(?:(?:{_OCTET}\.){{3}}{_OCTET})?$"
NAME = r"^[a-z][a-z0-9-]{0,35}[a-z0-9]$|^[a-z]$"
"""What an endpoint is called."""
FIRST_PATH = r"^/[a-z0-9](?:[a-z0-9_-]{0,30}[a-z0-9])?$"
HEADER_WAY = r"^[A-Za-z][A-Za-z0-9-]{0,62}: [A-Za-z0-9._~:/+-]{1,128}$"
"""A header of requests and its whole value."""
BACKEND_WAY = rf"{FIRST_PATH}|{HEADER_WAY}"
MAILTO = r"^mailto:[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}$"
OTLP = rf"^https?://(?:[A-Za-z0-9._-]{{1,255}}|\[[A-Fa-f0-9:.]{{2,45}}\])(?::{_PORT})?(?:/[A-Za-z0-9._~/-]{{0,200}})?$"
SECONDS = r"^[0-9]{1,6}(?:\.[0-9]{1,3})?(?:ms|s|m)$"
TOOL = r"^[A-Za-z0-9_-]{1,64}$"
SECRET_ID = r"^[A-Za-z0-9_-]{1,255}$"  # noqa: S105 - a name is none
"""A secret of Secret Manager, by its own name."""
SECRET_VERSION = r"^[A-Za-z0-9_-]{1,255}/[1-9][0-9]*$"  # noqa: S105 - a name is none
"""A version of a secret of Secret Manager, by the secret's own name."""
LOGIN = r"^[A-Za-z0-9._@-]{1,255}$"
TEMPLATE = r"^projects/[a-z0-9:.-]+/locations/[a-z0-9-]+/templates/[A-Za-z0-9_-]{1,63}$"
"""A template of Model Armor, by its path."""
MEANINGS = {
    TEMPLATE: "the path of a template of Model Armor, such as projects/P/locations/L/templates/T",
    IMAGE: "a reference to an image: [HOST[:PORT]/]PATH[:TAG][@sha256:DIGEST], in lower case except for the tag",
    NETWORK: "the name of a network, or projects/P/global/networks/N",
    SUBNETWORK: "the name of a subnetwork, or projects/P/regions/R/subnetworks/S",
    KEY: "projects/P/locations/R/keyRings/K/cryptoKeys/N, in which {region} stands for the region that it is used in",
    REGION: "a region of Google Cloud, such as europe-west1",
    REGION_OR_AUTO: "auto, or a region of Google Cloud, such as europe-west1",
    WORD: "letters, digits, dots, dashes and underscores",
    AUDIENCE: "an address, such as https://models.example.com",
    MEMBER: "as IAM writes it: user:…, group:…, serviceAccount:…, domain:…, principal:… or principalSet:…",
    HOST: "an address or a host's name",
    HTTPS_URL: "an address that begins with https://, without a query",
    DOMAIN: "a domain in lower case, such as llm.example.com, without https:// and without a path",
    IPV4_OR_NONE: "an address of IPv4, such as 203.0.113.7, or nothing",
    NAME: "lower-case letters, digits and dashes, at most 37, starting with a letter",
    FIRST_PATH: "the first part of a path in lower case, such as /small, of up to 32 letters, digits, dashes and underscores",
    BACKEND_WAY: "the first part of a path in lower case, such as /small, of up to 32 letters, digits, dashes and underscores, or a header "
    'with its whole value, such as "x-tier: large"',
    MAILTO: "an address, such as mailto:ops@example.com",
    OTLP: "an address, such as http://127.0.0.1:4318",
    SECONDS: "a time with its unit, such as 500ms, 2s or 1m",
    SECRET_ID: "the name of a secret of Secret Manager: letters, digits, dashes and underscores",
    SECRET_VERSION: "the name of a secret of Secret Manager and a version of it, such as docker-hub/1",
    LOGIN: "the name of an account: letters, digits, dots, dashes and underscores",
    TOOL: "a tool's name: up to 64 letters, digits, dashes and underscores",
    REFERENCE: "env:NAME, of letters, digits and underscores, or file:PATH",
    ENDPOINT_KEY: 'env:NAME, of letters, digits and underscores, file:PATH, or on loopback "none"',
}
"""What is expected, in words."""
