"""Sections of a config that ask something of a run, each taken once."""

import functools
from typing import Any

from gan_jax.config import moved, searching, sections, serving
from gan_jax.diagnosis.keys import Checkup
from gan_jax.evaluation import keys as evaluation_keys

SECTIONS = (
  'sample',
  'interpolate',
  'translate',
  'guide',
  'edit',
  'invert',
  'orbit',
  'upscale',
  'non_finite',
  'diagnose',
  'eval',
  'search',
  'export',
  'explore',
)


class Requests:
  """The sections; each checks itself as it is taken."""

  _config: Any

  @functools.cached_property
  def sample(self) -> sections.Sample:
    """The section `sample`."""
    return sections.take(sections.Sample, self._config, 'sample')

  @functools.cached_property
  def interpolate(self) -> sections.Interpolate:
    """The section `interpolate`."""
    return sections.take(sections.Interpolate, self._config, 'interpolate')

  @functools.cached_property
  def translate(self) -> sections.Translate:
    """The section `translate`."""
    return sections.take(sections.Translate, self._config, 'translate')

  @functools.cached_property
  def guide(self) -> moved.Guide:
    """The section `guide`."""
    return sections.take(moved.Guide, self._config, 'guide')

  @functools.cached_property
  def edit(self) -> moved.Edit:
    """The section `edit`."""
    return sections.take(moved.Edit, self._config, 'edit')

  @functools.cached_property
  def invert(self) -> moved.Invert:
    """The section `invert`."""
    return sections.take(moved.Invert, self._config, 'invert')

  @functools.cached_property
  def orbit(self) -> sections.Orbit:
    """The section `orbit`."""
    return sections.take(sections.Orbit, self._config, 'orbit')

  @functools.cached_property
  def upscale(self) -> sections.Upscale:
    """The section `upscale`."""
    return sections.take(sections.Upscale, self._config, 'upscale')

  @functools.cached_property
  def non_finite(self) -> sections.NonFinite:
    """The section `non_finite`."""
    return sections.take(sections.NonFinite, self._config, 'non_finite')

  @functools.cached_property
  def diagnose(self) -> Checkup:
    """The section `diagnose`."""
    return sections.take(Checkup, self._config, 'diagnose')

  @functools.cached_property
  def eval(self) -> evaluation_keys.Evaluation:
    """The section `eval`."""
    return sections.take(evaluation_keys.Evaluation, self._config, 'eval')

  @functools.cached_property
  def search(self) -> searching.Search:
    """The section `search`."""
    return sections.take(searching.Search, self._config, 'search')

  @functools.cached_property
  def export(self) -> serving.Export:
    """The section `export`."""
    return sections.take(serving.Export, self._config, 'export')

  @functools.cached_property
  def explore(self) -> serving.Explore:
    """The section `explore`."""
    return sections.take(serving.Explore, self._config, 'explore')
