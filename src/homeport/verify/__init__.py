"""Proof that an endpoint is what it promises: small independent checks, each with its evidence."""

from homeport.verify.report import Finding, Outcome, Report, Result, Subject
from homeport.verify.run import CHECKS, verify

__all__ = ["CHECKS", "Finding", "Outcome", "Report", "Result", "Subject", "verify"]
