"""Run a command that is sent SIGTERM when the process that started it ends, however that ends (Linux).

Run as `python -m splitnet.emulate.tied PID COMMAND …`, where PID is the starting process. Its thread must live as
long as the command should: the kernel watches the thread (prctl(2), PR_SET_PDEATHSIG).
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        sys.exit(f"tied: prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # it ended before the kernel was told
        sys.exit("tied: the starting process is gone")
    os.execvp(command[0], command)  # noqa: S606 -- the command of the one who started us


if __name__ == "__main__":
    main()
