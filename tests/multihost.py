"""Several processes on this machine that train one run."""

import os
import socket
import subprocess
import sys

from tests.helpers import ROOT, cli_environment


def free_port() -> int:
  """A port of the loopback that nobody listens on."""
  with socket.socket() as sock:
    sock.bind(('127.0.0.1', 0))
    return sock.getsockname()[1]


def start_all(
  count: int, *flags: str, devices: int = 1
) -> list[subprocess.Popen]:
  """Starts the processes of a run; end all of them with `end_all`."""
  port = free_port()
  environment = cli_environment() | {'JAX_NUM_CPU_DEVICES': str(devices)}
  environment.pop('XLA_FLAGS', None)
  return [
    subprocess.Popen(
      [
        sys.executable,
        str(ROOT / 'run.py'),
        f'--coordinator=127.0.0.1:{port}',
        f'--num_processes={count}',
        f'--process_id={number}',
        *flags,
      ],
      env=environment,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    for number in range(count)
  ]


def end_all(
  processes: list[subprocess.Popen], seconds: float = 150
) -> list[tuple[int, str, str]]:
  """Waits for all: exit code, output and errors of each."""
  try:
    ended = []
    for process in processes:
      out, error = process.communicate(timeout=seconds)
      ended.append((process.returncode, out, error))
    return ended
  finally:
    for process in processes:
      if process.poll() is None:
        process.kill()
        process.communicate()


def child_of(process: subprocess.Popen) -> int:
  """The process that trains, below the one that waits for it."""
  path = f'/proc/{process.pid}/task/{process.pid}/children'
  with open(path) as file:
    (child,) = file.read().split()
  os.kill(int(child), 0)
  return int(child)
