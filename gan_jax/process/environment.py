"""What a result depends on besides its config: packages, devices, commit."""

import contextlib
import importlib.metadata
import pathlib
import platform
import subprocess
import sys
from typing import Any

_PACKAGES = (
  ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'chex')
  + ('ml_collections', 'numpy', 'grain', 'tensorflow-datasets', 'pillow')
  + ('matplotlib',)
)


def package_versions() -> dict[str, str]:
  """Versions of the packages that results depend on."""
  versions = {}
  for package in _PACKAGES:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      versions[package] = importlib.metadata.version(package)
  return versions


def environment() -> dict[str, Any]:
  """What a result depends on besides its config."""
  import jax

  return {
    'command': sys.argv,
    'python': platform.python_version(),
    'platform': platform.platform(),
    'devices': [str(device) for device in jax.devices()],
    'packages': package_versions(),
    'git_commit': _git('rev-parse', 'HEAD'),
    'git_changes': bool(_git('status', '--porcelain')),
  }


def _git(*arguments: str) -> str | None:
  """Output of git in the source tree, None where there is no repository."""
  try:
    done = subprocess.run(
      ['git', *arguments],
      cwd=pathlib.Path(__file__).parent,
      capture_output=True,
      text=True,
      timeout=10,
      check=True,
    )
  except (OSError, subprocess.SubprocessError):
    return None
  return done.stdout.strip()
