"""`jetlut ui`: MLflow's page on the runs."""

import argparse
import os
import socket
import sys
from typing import NoReturn

from trigger.errors import UserError

EXAMPLE = """\
example:
  $ jetlut ui --port 5001
  jetlut ui: sqlite:///mlflow.db on http://127.0.0.1:5001, Ctrl-C ends it
"""


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "ui",
        help="open MLflow's page on the runs, on loopback",
        description="Open MLflow's page on the runs, on loopback. The store is "
        "MLFLOW_TRACKING_URI, by default mlflow.db in this folder.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--port", type=int, default=5000, help="TCP port (default: %(default)s)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Becomes MLflow's server; returns only where there is one already."""
    from workflows import tracking

    address = tracking.uri()
    if address.startswith(("http://", "https://")):
        print(f"the store is a server already, its page is {address}")
    else:
        _refuse_taken(args.port)
        _serve(address, args.port)
    return 0


def _refuse_taken(port: int) -> None:
    """Says in one sentence what MLflow's server would say in many."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        raise UserError(
            f"port {port} of 127.0.0.1 cannot be used ({error}); name another one, "
            "from 1024 to 65535, by --port"
        ) from error


def _serve(address: str, port: int) -> NoReturn:
    """Takes this process's place, so that Ctrl-C and kill reach the server itself."""
    from workflows import tracking

    root = tracking.artifact_root(address)
    print(
        f"jetlut ui: {address} on http://127.0.0.1:{port}, Ctrl-C ends it",
        file=sys.stderr,
        flush=True,
    )
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", address]
    if root:
        command += ["--default-artifact-root", root.as_uri()]
    environment = os.environ | tracking.quiet_environment()
    os.execve(command[0], command, environment)
