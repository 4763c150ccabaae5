"""Flower's SuperNode and SuperExec with short waits, for federations on one machine.

A SuperNode as shipped sleeps 3 s when there is no message for it, and half a second at a time until an answer is
there; who pulls a message whose parts are still under way sleeps 1 s; and each message starts an interpreter that
imports Flower for 1.4 CPU seconds. None of it has a setting in flwr 1.41, to which the extra `federated` is bound.
So this module runs the same programs, with their own options, after it has shortened their sleeps, and forks the
processes that a SuperExec would start anew from one that has imported everything. What they say to one another is
the same, so they mix with programs as shipped. Figures are in docs/federated.md.

Run as `python -m splitnet.learn.flower.quick supernode|superexec …`; `superexec --preload MODULE …` imports the
module of an app before it forks.
"""

import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable

from flwr.supercore import constant

# Bound as defaults of functions when the modules below are imported, hence set before.
constant.PULL_INITIAL_BACKOFF = 0.05  # type: ignore[assignment]  # whole seconds as shipped
constant.PULL_BACKOFF_CAP = 1

from flwr.supercore.cli import flower_superexec  # noqa: E402
from flwr.supercore.constant import TaskType  # noqa: E402
from flwr.supercore.exit import exit_handler  # noqa: E402
from flwr.supercore.superexec import run_superexec  # noqa: E402
from flwr.supercore.superexec.executor import ExecutionSpec, LaunchResult  # noqa: E402
from flwr.supercore.superexec.executor.subprocess_executor import SubprocessExecutor  # noqa: E402
from flwr.superlink.cli import flwr_serverapp  # noqa: E402
from flwr.supernode import start_client_internal  # noqa: E402
from flwr.supernode.cli import flower_supernode, flwr_clientapp  # noqa: E402

# A poll costs a SuperLink 3 to 10 ms of one core, the latter with its state in a file.
_LONGEST_SLEEP_S = 0.1
_APPS: dict[TaskType, Callable[[], None]] = {
    TaskType.CLIENT_APP: flwr_clientapp,
    TaskType.SERVER_APP: flwr_serverapp,
}
_FATAL = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)


class _ShortSleeps:
    """Stands for the module `time` in Flower's SuperNode, which uses nothing of it but `sleep`."""

    @staticmethod
    def sleep(seconds: float) -> None:
        time.sleep(min(seconds, _LONGEST_SLEEP_S))


class _ForkingExecutor(SubprocessExecutor):
    """Runs an app in a fork of this process instead of in a new interpreter."""

    def launch(self, spec: ExecutionSpec) -> LaunchResult:
        app = _APPS.get(spec.task_type)
        if app is None:
            return super().launch(spec)
        sys.stdout.flush()
        sys.stderr.flush()
        if os.fork() == 0:
            _run_forked(app, spec)
        return LaunchResult.accepted()


def _run_forked(app: Callable[[], None], spec: ExecutionSpec) -> None:
    """Run the app's command in this process, which is a fork, and end it."""
    code = 1
    try:
        exit_handler.registered_exit_handlers.clear()  # those of the SuperExec, with its connections
        for number in (*_FATAL, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        sys.argv = _arguments(spec)
        app()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # os._exit below would take it away unseen
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _arguments(spec: ExecutionSpec) -> list[str]:
    """Return the command line that Flower's own executor would run."""
    tls = ["--insecure"] if spec.insecure else []
    if not spec.insecure and spec.root_certificates_path is not None:
        tls = ["--root-certificates", spec.root_certificates_path]
    return [
        str(spec.task_type),
        *("--runtime-api-address", spec.runtime_api_address),
        *("--token", spec.token),
        *("--parent-pid", str(spec.parent_pid)),
        *tls,
    ]


def _supernode() -> None:
    vars(start_client_internal)["time"] = _ShortSleeps
    flower_supernode()


def _superexec() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended forks leave no zombies
    vars(run_superexec)["get_executor"] = lambda *_args, **_options: _ForkingExecutor()
    flower_superexec()


def main() -> None:
    """Run the program that the first argument names, with the others as its own."""
    programs = {"supernode": _supernode, "superexec": _superexec}
    name = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if name not in programs:
        sys.exit(f"quick: expected one of {', '.join(programs)}, not {name!r}")
    if sys.argv[1:2] == ["--preload"]:
        importlib.import_module(sys.argv[2])
        del sys.argv[1:3]
    sys.argv[0] = f"flower-{name}"
    programs[name]()


if __name__ == "__main__":
    main()
