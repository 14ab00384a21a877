"""What it costs to import the door to Google Cloud."""

from __future__ import annotations

import subprocess
import sys


def test_importing_the_room_loads_nothing_heavy() -> None:
    heavy = ("google.auth", "httpx2", "stamina", "h2", "cryptography", "subprocess")
    program = f"import sys\nimport homeport.google\nprint([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]"
    program = f"import sys\nfrom homeport.google import Google, grant\nprint([m for m in {heavy[:5]} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]"
