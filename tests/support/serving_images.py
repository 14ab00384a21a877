"""Images that serve, as tests want them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from random import Random

from building import PIECE, REGION
from homeport.catalog.images import engine_image
from homeport.engines.image import ImageContents, Recipe
from homeport.engines.ollama import engine as ollama
from homeport.google import Google
from homeport.resources.google.image import ContainerImage
from homeport.spec import CloudRun
from homeport.targets.cloudrun.images import image
from homeport.targets.cloudrun.names import Names
from homeport.weights.manifest import PinnedFile

DATA = Random(5).randbytes(PIECE + 99)


FILE = PinnedFile(path="tiny.gguf", size=len(DATA), sha256=hashlib.sha256(DATA).hexdigest())


BASE = engine_image("ollama").pinned


GEMMA = ImageContents(base=BASE, model_name="gemma", weights="gemma4:e4b")


LIBRARY = ollama.image(replace(GEMMA, files={"/homeport/serve.sh": "#!/bin/bash\n"}))


def of(google: Google, recipe: Recipe) -> ContainerImage:
    """The image of a recipe, in the repository of `building.place`."""
    return image(google, Names(name="home", project=google.project, region=REGION), CloudRun(), recipe)
