"""Going around what a generator makes: the same latents, other poses."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gan_jax.networks.posing import NAME, Ranges
from gan_jax.sampling import given as given_lib
from gan_jax.sampling.batches import batched
from gan_jax.types import Column, InputError


class Orbiting:
  """What a `Sampler` can do whose generator takes poses."""

  posed: Ranges | None
  columns: Mapping[str, Column]
  _vocabulary: Any
  _variables: Any
  _apply: Callable[..., dict[str, Any]]

  def at_pose(
    self,
    latents: np.ndarray,
    pose: np.ndarray,
    labels: np.ndarray | None = None,
    given: Mapping[str, Any] | None = None,
  ) -> np.ndarray:
    """Images uint8 `[N, H, W, C]` from where a user says.

    Args:
      latents: `[N, Z]`.
      pose: azimuth and elevation in degrees, `[2]` or `[N, 2]`.
      labels: int32 `[N]`, of a conditional run.
      given: what else the run is told, without the pose; see `sample`.

    Raises:
      InputError: the generator takes no poses, or they are none it knows.
    """
    pose = self._known_pose(pose, len(latents))
    columns = {k: c for k, c in self.columns.items() if k != NAME}
    told = given_lib.encode(given, columns, len(latents), self._vocabulary)
    told[NAME] = half_turns(pose)
    if labels is not None:
      told['labels'] = labels
    made = batched(
      lambda *inputs: self._apply(self._variables, *inputs), latents, told
    )
    return made['images']

  def _known_pose(self, pose: Any, num: int) -> np.ndarray:
    """Poses in degrees, `[num, 2]`."""
    if self.posed is None:
      raise InputError(
        'orbit: this run has no poses; hologan and pigan have them, such as '
        'configs/hologan_coil.py'
      )
    pose = np.asarray(pose, np.float64)
    if pose.shape not in ((2,), (num, 2)) or not np.isfinite(pose).all():
      raise InputError(
        f'pose: shape {pose.shape}; give azimuth and elevation in degrees, '
        f'[2] or [{num}, 2]'
      )
    low, high = self.posed.elevation
    if NAME in self.columns:  # the data's, of any elevation
      low, high = -90.0, 90.0
    wrong = pose[..., 1][(pose[..., 1] < low) | (pose[..., 1] > high)]
    if wrong.size:
      raise InputError(
        f'elevation: {wrong.flat[0]:g} degrees is outside of what this run was '
        f'trained on, {low:g} to {high:g}'
      )
    return np.broadcast_to(pose, (num, 2))

  def orbit(
    self,
    num: int,
    frames: int = 36,
    *,
    azimuth: Sequence[float] = (),
    elevation: float = 0.0,
    seed: int = 0,
    label: int | str | None = None,
    given: Mapping[str, Any] | None = None,
    truncation: float = 0.0,
  ) -> np.ndarray:
    """The same things from side to side, uint8 `[frames, num, H, W, C]`.

    Args:
      num: things, by their latents.
      frames: images of each. All the way around, the last is followed by the
        first; else first and last are the ends.
      azimuth: degrees from where to where; () for all that the run knows.
      elevation: degrees above the horizon.
      seed: of the latents.
      label: see `sample`.
      given: what else the run is told, without the pose; see `sample`.
      truncation: of the latents.

    Raises:
      InputError: the generator takes no poses, or these are none.
    """
    self._known_pose((0.0, elevation), 1)
    azimuths = _azimuths(azimuth or self.posed.azimuth, frames)
    latents = self.latents(num, seed=seed, truncation=truncation)
    labels = self.labels(num, label)
    gan = self.at(truncation)
    made = [
      gan.at_pose(latents, np.array([degrees, elevation]), labels, given)
      for degrees in azimuths
    ]
    return np.stack(made)


def half_turns(degrees: np.ndarray) -> np.ndarray:
  """Azimuth and elevation `[..., 2]` in degrees -> half turns, float32.

  Azimuths come to lie in [-1, 1): a whole turn further is the same number.
  """
  turns = degrees / 180.0
  azimuth = (turns[..., 0] + 1.0) % 2.0 - 1.0
  return np.stack([azimuth, turns[..., 1]], axis=-1).astype(np.float32)


def _azimuths(ends: Sequence[float], frames: int) -> np.ndarray:
  """Degrees, `[frames]`; the end of a whole turn is its start, and left out."""
  if len(ends) != 2 or not np.isfinite(ends).all():
    raise InputError(
      f'orbit.azimuth: {tuple(ends)} is no pair of degrees, such as (-60, 60)'
    )
  first, last = ends
  return np.linspace(first, last, frames, endpoint=(last - first) % 360 != 0)
