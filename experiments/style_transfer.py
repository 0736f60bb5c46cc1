"""An image in the style of another: optimised, or by a decoder trained once.

  python experiments/style_transfer.py --content=PHOTO --style=PAINTING
    --weights=VGG.npz
  python experiments/style_transfer.py --method=adain --content=DIR --style=DIR

gatys moves the content's pixels until Gram matrices of a fixed network's maps
are those of the style. adain trains a decoder of maps that have the moments of
another image's, on squares of both folders; then any of them takes any style in
one pass. Losses before and after are written, of held-out images with adain.

References:
  Gatys et al., A Neural Algorithm of Artistic Style, arXiv 1508.06576.
  Huang and Belongie, Arbitrary Style Transfer in Real-time with Adaptive
  Instance Normalization, arXiv 1703.06868.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

from experiments import common
from gan_jax.data import Dataset, load_dataset, make_feed
from gan_jax.data.images import decode
from gan_jax.data.shapes import convert, crop
from gan_jax.features import maps as maps_lib
from gan_jax.features import transfer
from gan_jax.pixels import from_uint8, to_uint8
from gan_jax.reporting.pictures import save_image
from gan_jax.storage.cache import save_leaves
from gan_jax.types import InputError

STEPS = {'gatys': 300, 'adain': 2_000}
WEIGHTS = {'gatys': 1e4, 'adain': 10.0}  # of the style's loss
BATCH, RATE = 8, 1e-3  # of adain
SHOWN = 4  # contents and styles in the figure of adain
ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)


def image_of(path: str, flag: str, size: int) -> jax.Array:
  """The middle of an image file, `[1, size, size, 3]` in [-1, 1].

  Raises:
    InputError: there is none, or it cannot be read.
  """
  file = pathlib.Path(path).expanduser()
  if not path or not file.is_file():
    raise InputError(f'--{flag}: {path or "nothing"} is no image file')
  square = convert(decode(file, key=f'--{flag}'), (size, size, 3), crop)
  return from_uint8(square[None])


# --- Gatys ------------------------------------------------------------------


def optimised(
  out: pathlib.Path, maps, content: str, style: str, size: int, steps: int
) -> None:
  """One image in the style of another."""
  content = image_of(content, 'content', size)
  style = image_of(style, 'style', size)
  found = transfer.gatys(
    maps,
    content,
    style,
    style_weight=WEIGHTS['gatys'],
    num_steps=steps,
    progress='style',
  )
  losses = jax.jit(
    lambda image: transfer.gatys_losses(maps, image, content, style)
  )
  rows = [
    [name, *(f'{float(x):.4g}' for x in losses(image))]
    for name, image in (
      ('the content', content),
      ('the style', style),
      ('the result', found.best),
    )
  ]
  result = np.asarray(to_uint8(found.best))[0]
  save_image(out / 'stylised.png', result)
  pictures = [np.asarray(to_uint8(x))[0] for x in (content, style)] + [result]
  common.save_figure(
    out / 'style_transfer.png',
    panels([pictures], [''], ['content', 'style', 'result']),
  )
  start, end = (float(row[2]) for row in (rows[0], rows[2]))
  table = common.markdown(['image', 'content loss', 'style loss'], rows)
  how = (
    f'{maps.name}, {size} pixels, {steps} steps; style loss {start / end:.1f} '
    'times smaller than at the start'
  )
  common.save_tables(
    out / 'style_transfer.md', 'Style transfer', gatys=f'{how}.\n\n{table}'
  )


# --- AdaIN ------------------------------------------------------------------


def trained(out: pathlib.Path, maps, content, style, size, steps, seed) -> None:
  """A decoder of a folder of contents and one of styles."""
  from tqdm import tqdm

  decoder = transfer.make_decoder(maps)
  sets = {'content': content, 'style': style}
  data = {flag: folder(path, flag, size) for flag, path in sets.items()}
  feeds = {
    flag: make_feed(one.train, batch_size=BATCH, seed=seed + number, flip=True)
    for number, (flag, one) in enumerate(data.items())
  }
  draws = {flag: feed.draws(0) for flag, feed in feeds.items()}
  resident = {flag: feed.resident for flag, feed in feeds.items()}
  wanted = [transfer.layers_of(maps).encoder]
  shape = jax.eval_shape(
    lambda x: maps.apply(x, wanted)[0], jnp.zeros((1, size, size, 3))
  )
  params = jax.jit(decoder.init)(jax.random.key(seed), jnp.zeros(shape.shape))
  optimizer = optax.adam(optax.cosine_decay_schedule(RATE, steps))

  def loss_of(params, images):
    losses = transfer.adain_losses(maps, decoder, params, *images)
    return losses.content + WEIGHTS['adain'] * losses.style

  @jax.jit
  def step(params, state, drawn, resident, key):
    keys = dict(zip(feeds, jax.random.split(key), strict=True))
    images = [
      feeds[flag].decode(resident[flag], drawn[flag], keys[flag]).images
      for flag in feeds
    ]
    loss, grads = jax.value_and_grad(loss_of)(params, images)
    updates, state = optimizer.update(grads, state)
    return optax.apply_updates(params, updates), state, loss

  state, root = optimizer.init(params), jax.random.key(seed)
  with tqdm(total=steps, desc='decoder') as bar:
    for number in range(steps):
      drawn = {flag: next(draw) for flag, draw in draws.items()}
      params, state, loss = step(
        params, state, drawn, resident, jax.random.fold_in(root, number)
      )
      if number % 50 == 49:
        bar.set_postfix(loss=f'{float(loss):.4g}')
      bar.update()
  save_leaves(out / 'decoder.npz', params)
  judged(out, maps, decoder, params, data, f'{size} pixels, {steps} steps')


def folder(path: str, flag: str, size: int) -> Dataset:
  """Squares of a folder's images.

  Raises:
    InputError: there are none, or too few.
  """
  try:
    found = load_dataset(
      'folder', dir=path, image_size=size + size // 4, crop=size, channels=3
    )
  except InputError as error:
    raise InputError(str(error).replace('data.dir', f'--{flag}')) from error
  if len(found.train) < BATCH or not len(found.test):
    raise InputError(
      f'--{flag}: {path} has too few images; {BATCH + 2} at least'
    )
  return found


def judged(out, maps, decoder, params, data, how: str) -> None:
  """Losses of held-out pairs, and pictures of some."""
  num = min(len(one.test) for one in data.values())
  content, style = (
    from_uint8(one.test.read(np.arange(num))['images']) for one in data.values()
  )
  style = jnp.roll(style, -1, axis=0)  # both may be of one folder

  @jax.jit
  def apply(content, style, alpha):
    return transfer.stylised(maps, decoder, params, content, style, alpha)[0]

  @jax.jit
  def losses_of(images):
    return transfer.gatys_losses(maps, images, content, style)

  again, result = (apply(content, style, alpha) for alpha in (0.0, 1.0))
  rows = [
    [name, *(f'{float(x):.4g}' for x in losses_of(images))]
    for name, images in (
      ('the contents', content),
      ('the styles', style),
      ('decoded as they were (alpha 0)', again),
      ('stylised (alpha 1)', result),
    )
  ]
  some = min(SHOWN, num)
  grid = [[np.zeros_like(to_uint8(style[0]))] + list(to_uint8(style[:some]))]
  for one in content[:some]:
    row = apply(jnp.stack([one] * some), style[:some], 1.0)
    grid.append([to_uint8(one), *to_uint8(row)])
  strip = [apply(content[:1], style[1 % num][None], a)[0] for a in ALPHAS]
  common.save_figure(
    out / 'style_transfer.png',
    panels(grid, [''] * len(grid), [''] * (some + 1)),
  )
  common.save_figure(
    out / 'alpha.png',
    panels([[to_uint8(x) for x in strip]], [''], [f'{a:g}' for a in ALPHAS]),
  )
  table = common.markdown(['images', 'content loss', 'style loss'], rows)
  text = f'{maps.name}, {how}; means of {num} held-out pairs.\n\n{table}'
  common.save_tables(out / 'style_transfer.md', 'Style transfer', adain=text)


def panels(rows, sides, heads) -> Figure:
  """Pictures in rows and columns, with what they are."""
  figure = Figure(
    figsize=(1.9 * len(heads), 1.9 * len(rows) + 0.2), layout='constrained'
  )
  axes = figure.subplots(len(rows), len(heads), squeeze=False)
  for row, pictures, side in zip(axes, rows, sides, strict=True):
    row[0].set_ylabel(side)
    for axis, picture, head in zip(row, pictures, heads, strict=True):
      axis.imshow(np.asarray(picture))
      axis.set_xticks([])
      axis.set_yticks([])
      if row is axes[0]:
        axis.set_title(head, fontsize=10)
  return figure


def experiment(
  out: pathlib.Path,
  method: str,
  content: str,
  style: str,
  network: str,
  weights: str,
  size: int,
  steps: int,
  seed: int,
) -> None:
  """Writes a figure, a table, and the image or the decoder.

  Args:
    out: folder.
    method: gatys or adain.
    content: an image, or a folder of them with adain.
    style: likewise.
    network: of `maps.NETWORKS`.
    weights: path of its file.
    size: pixels of a side.
    steps: of training; 1 for as many as the method has.
    seed: of the decoder and the order of images.

  Raises:
    InputError: images or weights that cannot be read.
  """
  maps = maps_lib.load(network, weights, '--')
  steps = STEPS[method] if steps == 1 else steps
  if method == 'gatys':
    return optimised(out, maps, content, style, size, steps)
  return trained(out, maps, content, style, size, steps, seed)


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    method=('gatys', 'how', tuple(STEPS)),
    content=('', 'an image, or a folder of them with adain'),
    style=('', 'likewise'),
    network=('lpips', 'whose maps', maps_lib.NETWORKS),
    weights=('', 'path of its file'),
    size=(128, 'pixels of a side'),
    steps=(1, "of training; 1: the method's own"),
    seed=(0, 'of the decoder and of the order of images'),
  )
