"""A bucket, a secret, a repository and a service account on Google Cloud: plan, up, down. See docs/rehearsal.md."""

import argparse
import asyncio
import os
import sys
from dataclasses import replace

from homeport import google
from homeport.cli.show import plan_text
from homeport.errors import HomeportError
from homeport.reconcile import Resource, apply, destroy, make_plan, patient
from homeport.resources.google.apis import Apis
from homeport.resources.google.bucket import bucket
from homeport.resources.google.repository import repository
from homeport.resources.google.secret import secret
from homeport.resources.google.service_account import account
from homeport.terminal import Terminal

NAME, REGION = "example", "us-central1"
APIS = ("artifactregistry", "iam", "secretmanager", "storage")


def wanted(door: google.Google, team: str) -> list[Resource]:
    """Return what should exist. It is all that this file decides."""
    apis = Apis(google=door, services=tuple(f"{api}.googleapis.com" for api in APIS))
    things = [
        bucket(door, NAME, f"{door.project}-{NAME}", REGION, labels={"team": team}),
        secret(door, NAME, f"{NAME}-token", REGION),
        repository(door, NAME, NAME, REGION),
        account(door, NAME, f"{NAME}-run", "what the service is"),
    ]
    return [apis, *(replace(thing, after=(apis.id,)) for thing in things)]


async def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["plan", "up", "down"])
    parser.add_argument("--team", default="research")
    asked = parser.parse_args()
    terminal = Terminal()
    async with await google.from_env(os.environ) as door:
        things = wanted(door, asked.team)
        if asked.command == "down":
            async with patient(terminal) as halt:
                done = await destroy([thing for thing in things if thing.id != "apis"], terminal, halt)
            for what in done.gone:
                terminal.result(f"removed {what}")
            terminal.result(f"left: {', '.join(done.left) or 'nothing'}")
            return 1 if done.left or done.errors else 0
        plan = await make_plan(NAME, f"project {door.project}", things)
        terminal.result(plan_text(plan))
        if asked.command == "up" and plan.pending:
            async with patient(terminal) as halt:
                await apply(plan, terminal, halt)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except HomeportError as error:
        Terminal().error(error)
        sys.exit(error.exit_code)
