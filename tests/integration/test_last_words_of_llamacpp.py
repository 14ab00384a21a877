"""What llama.cpp has to say as it ends is in its log, however busy the machine is."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import ctypes, os, xllamacpp
from homeport.engines.llamacpp.server.homeport_llamacpp import write_log
library = xllamacpp.xllamacpp.__file__
functions = ctypes.CDLL(library)
functions._Z15common_log_mainv.restype = ctypes.c_void_p
log = ctypes.c_void_p(functions._Z15common_log_mainv())
for number in range(20_000):
    functions._Z14common_log_addP10common_log14ggml_log_levelPKcz(log, 4, b"line %d\\n", ctypes.c_int(number))
write_log(library)
os._exit(0)
"""


def test_nothing_of_it_is_lost_where_the_process_ends_at_once() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, timeout=100)
    assert (ran.stdout + ran.stderr).count(b"line ") == 20_000
