"""What the files of a module are called: that they are read together is known to others, too."""

from __future__ import annotations

MAIN = "main.tf"
NETWORK = "network.tf"
"""What a service is attached to."""
AGENT = "agent.tf"
GUARD = "guard.tf"
OBSERVE = "observe.tf"
EDGE = "edge.tf"
SERVICE = "service.tf"
OUTPUTS = "outputs.tf"
VERSIONS = "versions.tf"
VARIABLES = "variables.tf"
IMAGES = "image.auto.tfvars"
"""What Terraform reads by itself: the identities of what was built."""
CLOSED_DOORS = "edge.auto.tfvars"
"""Likewise: that the service's own address is closed."""
BLOCKS = "*.tf"
"""What Terraform reads of a folder, all together."""


def of_region(region: str) -> str:
    """Return what the file with all of a further region is called."""
    return f"{region}.tf"
