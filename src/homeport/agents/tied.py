"""
Begins a program that ends with the one that began it, also where that is killed: `python -I -S tied.py PARENT PROGRAM ARGUMENTS`.

It runs alone, as a process of its own that becomes the program.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Run the program in the place of this process; nothing where its parent is gone already."""
    parent, *program = arguments
    # Not SIGKILL: a program that has begun others, such as `npx`, has to hear of it to end them.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):
        return
    # Python ignores both, and a program keeps what is ignored.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.execvp(program[0], program)  # noqa: S606 - the command is the user's own, word by word
    except OSError as error:
        sys.exit(f"{program[0]} cannot be begun: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
