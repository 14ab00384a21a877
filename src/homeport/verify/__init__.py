"""Proof that an endpoint is what it promises: small independent checks, each with its evidence."""

from homeport.verify.report import Finding, Outcome, Report, Result, VerificationSubject
from homeport.verify.runner import CHECKS, checks_of, verify

__all__ = ["CHECKS", "Finding", "Outcome", "Report", "Result", "VerificationSubject", "checks_of", "verify"]
