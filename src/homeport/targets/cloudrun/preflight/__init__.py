"""What can be known before anything is created: all of it at once, and by reading only."""

from homeport.targets.cloudrun.preflight.finding import Findings, PreflightFinding, PreflightVerdict
from homeport.targets.cloudrun.preflight.quotas import room
from homeport.targets.cloudrun.preflight.request import GatedFile, PreflightInput, RegistryImage
from homeport.targets.cloudrun.preflight.run import CHECKS, preflight

__all__ = [
    "CHECKS",
    "Findings",
    "GatedFile",
    "PreflightFinding",
    "PreflightInput",
    "PreflightVerdict",
    "RegistryImage",
    "preflight",
    "room",
]
