"""What can be known before anything is created: all of it at once, and by reading only."""

from homeport.targets.cloudrun.preflight.asked import Asked, Gate
from homeport.targets.cloudrun.preflight.finding import Finding, Findings, Verdict
from homeport.targets.cloudrun.preflight.run import CHECKS, preflight

__all__ = ["CHECKS", "Asked", "Finding", "Findings", "Gate", "Verdict", "preflight"]
