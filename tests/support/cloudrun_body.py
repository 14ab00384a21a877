"""Print what a file comes to on Cloud Run: the service's body and the image's files. Run by test_new_engine.py."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from homeport.home import find_home
from homeport.progress import Silent
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.traffic import Body, Receipt
from homeport.spec import load
from homeport.targets.cloudrun.model_selection import choose
from homeport.targets.cloudrun.target import CloudRunTarget


async def _prove(service: Body, revision: str, url: str) -> Receipt:
    raise AssertionError


async def main(file: Path) -> None:
    """Print it as JSON."""
    wanted = load(file)
    chosen = await choose(wanted, file, find_home(), Silent())
    target = CloudRunTarget(
        google=google_for(Cloud(delays=AT_ONCE)), spec=wanted, spec_file=file, chosen=chosen, prove=_prove
    )
    image = target.image
    told = {
        "engine": chosen.engine,
        "service": target.service.wanted,
        "image": image.build if isinstance(image, ContainerImage) else None,
        "cold_start": target.cold_start.as_json(),
    }
    print(json.dumps(told, default=str))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
