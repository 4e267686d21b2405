"""The services of docker-compose.yml as containers, by docker or by a tool that stands in for it."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

REPOSITORY = Path(__file__).resolve().parents[2]
TOOL = os.environ.get("CONTAINERS_TOOL")
"""A program with the subcommands `compose ...` and `podman ...`; without one it is `docker compose` and `docker`."""

BUILD_SECONDS = 900
COMMAND_SECONDS = 180


class Containers:
    """One compose project of this repository.

    Args:
        project: Its name; containers, volumes and networks begin with it.
        environment: For the variables in docker-compose.yml.
        arguments: Of every compose command, such as `--profile`.
    """

    def __init__(self, project: str, environment: Mapping[str, str], *arguments: str) -> None:
        self._project = project
        self._environment = {**os.environ, **environment}
        self._engine = [TOOL, "podman"] if TOOL else ["docker"]
        self._compose = [TOOL or "docker", "compose", "-p", project, *arguments]
        if TOOL:
            self._environment.setdefault("PROMETHEUS_VERSION", "latest")

    def build(self, *services: str) -> None:
        self._run([*self._compose, "build", *services], BUILD_SECONDS)

    def up(self, *services: str) -> None:
        """Start these services and no others, though they may depend on them."""
        self._run([*self._compose, "up", "-d", "--no-deps", *services])

    def scale(self, service: str, count: int) -> None:
        """Let `count` containers of a service run."""
        self._run([*self._compose, "up", "-d", "--no-deps", "--scale", f"{service}={count}", service])
        # podman-compose starts what is missing and leaves what is too many.
        surplus = self.containers(service)[count:]
        if surplus:
            self._run([*self._engine, "stop", "-t", "10", *surplus])

    def containers(self, service: str) -> list[str]:
        """The names of the running containers of a service, in the order of their numbers."""
        labels = {"project": self._project, "service": service}
        filters = [f"--filter=label=com.docker.compose.{key}={value}" for key, value in labels.items()]
        names = self._run([*self._engine, "ps", "--format", "{{.Names}}", *filters]).split()
        return sorted(names, key=lambda name: int("".join(filter(str.isdigit, name.rpartition(service)[2]))))

    def execute(self, service: str, *command: str) -> str:
        """Run a command in the first container of a service; return what it prints."""
        (container, *_) = self.containers(service)
        return self._run([*self._engine, "exec", container, *command])

    def kill(self, service: str) -> list[str]:
        """End the containers of a service with SIGKILL; return their names."""
        killed = self.containers(service)
        self._run([*self._engine, "kill", "--signal", "KILL", *killed])
        return killed

    def start(self, containers: list[str]) -> None:
        """Start containers that were ended; one that was started again by itself stays as it is."""
        self._run([*self._engine, "start", *containers])

    def logs(self, service: str) -> str:
        """The last lines that a service has logged."""
        lines = self._run([*self._compose, "logs", service], check=False).splitlines()
        return "\n".join(lines[-40:])

    def remove(self) -> None:
        """Remove every container, volume and network of the project, also those of an earlier run.

        Images stay: the next build starts from their layers, and so does that of another project.
        """
        self._run([*self._compose, "down", "-v", "-t", "10", "--remove-orphans"])

    def _run(self, command: list[str], seconds: float = COMMAND_SECONDS, *, check: bool = True) -> str:
        done = subprocess.run(
            command, cwd=REPOSITORY, env=self._environment, capture_output=True, text=True, timeout=seconds
        )
        assert done.returncode == 0 or not check, f"{command}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


class Engine:
    """Single images and containers, without compose."""

    def __init__(self) -> None:
        self._engine = [TOOL, "podman"] if TOOL else ["docker"]

    def build(self, image: str, folder: Path, **arguments: str) -> None:
        """Build the Dockerfile of a folder, with arguments for its ARGs."""
        flags = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        self._run(["build", "-t", image, *flags, str(folder)], BUILD_SECONDS)

    @contextmanager
    def running(self, image: str, ports: Mapping[int, int], environment: Mapping[str, str]) -> Iterator[None]:
        """Run a container until the block ends; `ports` of this machine are those of the container."""
        published = [f"--publish=127.0.0.1:{here}:{there}" for here, there in ports.items()]
        variables = [f"--env={name}={value}" for name, value in environment.items()]
        (container,) = self._run(["run", "--detach", *published, *variables, image], COMMAND_SECONDS).split()
        try:
            yield
        finally:
            self._run(["rm", "--force", container], COMMAND_SECONDS)

    def remove_image(self, image: str) -> None:
        """Remove an image that no container has."""
        self._run(["rmi", image], COMMAND_SECONDS)

    def _run(self, arguments: list[str], seconds: float) -> str:
        done = subprocess.run([*self._engine, *arguments], capture_output=True, text=True, timeout=seconds)
        assert done.returncode == 0, f"{arguments}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def wait_for(what: str, seconds: float, condition: Callable[[], object]) -> None:
    """Return when `condition()` is true; a server that does not answer yet counts as false."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(httpx.TransportError):
            if condition():
                return
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)
