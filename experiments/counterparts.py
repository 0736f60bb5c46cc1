"""Whether images translated without pairs are of the right thing.

  python experiments/counterparts.py --workdir=RUN

A run of two domains whose folders A and B hold the same things under the same
names, which training did not know. Held-out images go to the other domain; each
is looked up among so many true images of it, by the nearest in maps of a fixed
network or in pixels. Below, how often its own counterpart comes first, and how
far an image is from what comes back of it.

Reference:
  Zhu et al., Unpaired Image-to-Image Translation using Cycle-Consistent
  Adversarial Networks, arXiv 1703.10593, section 3.2 (the cycle).
"""

import pathlib
import sys
from typing import Any, NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax
import numpy as np
from matplotlib.figure import Figure

from experiments import common
from gan_jax.data import files as files_lib
from gan_jax.data import pairs
from gan_jax.data.division import divide_side
from gan_jax.data.images import decode
from gan_jax.data.shapes import FITS, convert
from gan_jax.features import maps as maps_lib
from gan_jax.pixels import from_uint8
from gan_jax.reporting.pictures import grid
from gan_jax.types import InputError
from gan_jax.workdir.trained import Trained, restore

SHOWN = 12  # images in the figure
TOP = 5
PIXELS = 'pixels'


class Found(NamedTuple):
  """One way between the domains.

  Attributes:
    first: share of images whose counterpart is the nearest.
    top: share of those whose counterpart is among the nearest five.
    unchanged: share where the source itself is looked up.
    cycle: mean |image - what comes back|, of pixels in [-1, 1].
    pictures: source, translated, counterpart, back again, `[4, n, ...]`.
  """

  first: float
  top: float
  unchanged: float
  cycle: float
  pictures: np.ndarray


def held_out(trained: Trained) -> tuple[np.ndarray, np.ndarray]:
  """Held-out images of the domains `other` and `images` with the same names.

  Raises:
    InputError: the run is not of two folders, or these share no names.
  """
  keys = trained.plan.dataset()
  if keys['layout'] != 'unpaired':
    raise InputError(
      '--workdir: counterparts are of runs with data.layout=unpaired, not '
      f'{keys["layout"]}'
    )
  root = pathlib.Path(keys['dir']).expanduser()
  images = files_lib.find(root).files
  names = pairs.sides(keys['direction'])
  shape = trained.info.image_shape
  shapes = trained.info.columns['other'], shape
  found: list[dict[str, Any]] = []
  for name in names:
    parts = divide_side(root, images, name, 'unpaired', keys['test_fraction'])
    found.append({str(x.relative): x.path for x in parts.test})
  shared = sorted(found[0].keys() & found[1].keys())
  if not shared:
    raise InputError(
      f'--workdir: no held-out images of {names[0]} and {names[1]} have the '
      'same names'
    )

  def read(paths, shape):
    return np.stack(
      [
        convert(
          decode(paths[name], keys['background']), shape, FITS[keys['fit']]
        )
        for name in shared
      ]
    )

  other, own = (read(*x) for x in zip(found, shapes, strict=True))
  return other, own


def embedder(network: str, weights: str):
  """uint8 `[N, H, W, C]` -> vectors whose squared distances are compared."""
  if network == PIXELS:
    return lambda images: np.float32(images).reshape(len(images), -1)
  maps = maps_lib.load(network, weights, '--')
  layers = maps.layers[-1:]

  @jax.jit
  def apply(images):
    x = from_uint8(images)
    size = max(maps.smallest, x.shape[1])
    x = jax.image.resize(x, (len(x), size, size, x.shape[-1]), 'bilinear')
    return maps.apply(x, layers)[0].reshape(len(x), -1)

  return lambda images: np.asarray(apply(images))


def ranks(queries: np.ndarray, among: np.ndarray, num: int) -> np.ndarray:
  """How many of `num` candidates are nearer to a query than its own is.

  Args:
    queries: vectors `[N, D]`.
    among: vectors `[N, D]`; the i-th is the i-th query's own.
    num: candidates, its own and those that follow it, around the end.
  """
  found = []
  for i, query in enumerate(queries):
    order = (i + np.arange(num)) % len(among)
    distances = ((among[order] - query) ** 2).sum(axis=1)
    found.append(int((distances < distances[0]).sum()))
  return np.array(found)


def one_way(gan, back, sources, targets, embed, num: int) -> Found:
  """Translates, looks up, and comes back."""
  there = gan.translate(sources)
  again = back.translate(there)
  among = embed(targets)
  order = ranks(embed(there), among, num)
  same = sources.shape == targets.shape
  unchanged = ranks(embed(sources), among, num) if same else None
  cycle = np.abs(np.float64(again) - sources).mean() / 127.5
  some = np.stack([x[:SHOWN] for x in (sources, there, targets, again)])
  return Found(
    float((order == 0).mean()),
    float((order < TOP).mean()),
    float('nan') if unchanged is None else float((unchanged == 0).mean()),
    float(cycle),
    some,
  )


def draw(ways: dict[str, Found]) -> Figure:
  """Some images of both ways."""
  figure = Figure(figsize=(9, 6.4), layout='constrained')
  axes = figure.subplots(len(ways), 1)
  sides = ('source', 'translated', 'counterpart', 'back again')
  for axis, (way, found) in zip(axes, ways.items(), strict=True):
    num = found.pictures.shape[1]
    flat = found.pictures.reshape(-1, *found.pictures.shape[2:])
    axis.imshow(grid(flat, columns=num), extent=(0, num, 4, 0))
    axis.set_yticks([row + 0.5 for row in range(4)], sides)
    axis.set_xticks([])
    axis.set_title(way, fontsize=10)
  return figure


def experiment(
  out: pathlib.Path, workdir: str, num: int, network: str, weights: str
) -> None:
  """Writes a figure and a table of a run.

  Args:
    out: folder.
    workdir: of the run.
    num: true images among which each is looked up.
    network: pixels, or one of `maps.NETWORKS`.
    weights: path of its file.

  Raises:
    InputError: no run of two domains, or fewer images than are asked for.
  """
  if not workdir:
    raise InputError('--workdir: name the folder of a finished run')
  trained = restore(workdir)
  other, own = held_out(trained)
  if len(own) < num:
    raise InputError(
      f'--num: {num} among {len(own)} held-out counterparts; take less'
    )
  embed = embedder(network, weights)
  forward, backward = (trained.sampler(back=back) for back in (False, True))
  there, here = pairs.sides(trained.plan.dataset()['direction'])
  ways = {
    f'{there} to {here}': one_way(forward, backward, other, own, embed, num),
    f'{here} to {there}': one_way(backward, forward, own, other, embed, num),
  }
  common.save_figure(out / 'counterparts.png', draw(ways))
  rows = [
    [
      way,
      *(f'{100 * x:.1f} %' for x in (found.first, found.top, found.unchanged)),
      f'{found.cycle:.3f}',
    ]
    for way, found in ways.items()
  ]
  head = ['way', 'nearest', f'nearest {TOP}', 'source untranslated', 'cycle L1']
  how = (
    f'{len(own)} held-out images, each among {num} of the other domain (chance '
    f'{100 / num:.1f} %), nearest in {network}; step '
    f'{int(trained.state.step):,}'
  )
  common.save_tables(
    out / 'counterparts.md',
    'Counterparts',
    lookup=f'{how}.\n\n{common.markdown(head, rows)}',
  )


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    workdir=('', 'folder of a finished run of two domains'),
    num=(100, 'true images among which each is looked up'),
    network=(PIXELS, 'what is compared', (PIXELS, *maps_lib.NETWORKS)),
    weights=('', 'path of its file'),
  )
