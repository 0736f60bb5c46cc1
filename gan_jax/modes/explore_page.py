"""The page of --mode=explore, made of NiceGUI's elements."""

import asyncio
import contextlib
import math
import signal
from typing import Any

from fastapi import Request, Response
from nicegui import app, background_tasks, events, run, ui

from gan_jax.config.serving import Explore
from gan_jax.modes.artist import Artist, address
from gan_jax.sampling.inversion import Inverted
from gan_jax.types import InputError
from gan_jax.workdir.directions import SUFFIX

_EVERY = 0.04  # seconds between two events of one slider
_SLIDER = 'update:model-value'


def serve(artist: Artist, keys: Explore, port: int, said: str) -> None:
  """Serves the page and the pictures until a signal asks for the end.

  Args:
    artist: that draws.
    keys: the section `explore`.
    port: to listen on.
    said: once it does.
  """

  async def started() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # the usual ends
      signal.signal(number, lambda *_: app.shutdown())
    while True:  # it listens only after this
      await asyncio.sleep(0.05)
      with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection(keys.host, port)
        writer.close()
        break
    print(said, flush=True)

  app.on_startup(lambda: background_tasks.create(started()))

  @app.get('/picture.png')
  def picture(request: Request) -> Response:
    return _answer(artist, request, artist.png, 'image/png')

  @app.get('/walk.gif')
  def walk(request: Request) -> Response:
    return _answer(artist, request, artist.gif, 'image/gif')

  def root() -> None:
    _Panel(artist, keys).build()

  ui.run(
    root,
    host=keys.host,
    port=port,
    title=f'{artist.name}: gan_jax',
    favicon='🎨',
    dark=None,
    show=False,
    reload=False,
    show_welcome_message=False,
    uvicorn_logging_level='error',
  )


def _answer(artist: Artist, request: Request, draw: Any, kind: str) -> Response:
  """A picture, or a line that says why there is none."""
  try:
    wish = artist.wish_of(dict(request.query_params))
    return Response(draw(wish), media_type=kind)
  except InputError as error:
    return Response(str(error), status_code=400, media_type='text/plain')


class _Panel:
  """Knobs of one visitor on the left, the picture on the right."""

  def __init__(self, artist: Artist, keys: Explore):
    self.artist, self.explorer = artist, artist.explorer
    self.wish = artist.first(keys)
    self._changed, self._drawing = False, False
    self._inverted: Inverted | None = None  # an uploaded image

  # --- What is on the page ----------------------------------------------------

  def build(self) -> None:
    """Lays the page out."""
    gan = self.explorer.gan
    # On a narrow screen the picture is above the knobs.
    wide = 'flex flex-col-reverse sm:flex-row sm:flex-nowrap gap-8 p-2 w-full'
    with ui.element('div').classes(wide):
      with ui.column().classes('w-80 shrink-0 gap-1'):
        ui.label(self.artist.name).classes('text-xl font-medium break-all')
        ui.label(f'{gan}').classes('text-xs opacity-60 break-words')
        self._seeds()
        self._classes()
        if self.explorer.takes_text:
          box = ui.input('text', placeholder='a red heart').classes('w-full')
          box.on('keydown.enter', lambda: self._set(text=box.value))
        if gan.prior == 'normal':
          self._slider('truncation', 0.0, 3.0, self.wish.truncation)
        if gan.has_styles and self.explorer.can_edit:
          self._slider('psi', 0.0, 1.5, self.wish.psi)
          self._mixing()
        self._directions()
        self._uploads()
        with ui.row().classes('gap-2 mt-2'):
          ui.button('Walk', on_click=self._walk).props('outline dense')
          ui.button('Save', on_click=self._save).props('outline dense')
      with ui.column().classes('min-w-0 grow'):
        self._image = ui.html('', sanitize=False).classes('w-full')
        self._words = ui.label().classes('text-sm opacity-60')
    ui.timer(0.01, self._draw, once=True)

  def _seeds(self) -> None:
    with ui.row().classes('items-center w-full no-wrap'):
      number = ui.number(
        'seed', value=self.wish.seed, min=0, max=2**31, step=1, format='%d'
      ).classes('grow')
      number.on_value_change(lambda e: self._set(seed=int(e.value or 0)))
      ui.button(
        icon='navigate_next',
        on_click=lambda: number.set_value(int(number.value or 0) + 1),
      ).props('flat dense aria-label="next seed"')

  def _classes(self) -> None:
    gan = self.explorer.gan
    if gan.num_classes:
      names = gan.class_names or tuple(map(str, range(gan.num_classes)))
      options = {-1: 'all in turn', **dict(enumerate(names))}
      start = -1 if self.wish.label is None else self.wish.label
      ui.select(
        options,
        value=start,
        label='class',
        on_change=lambda e: self._set(label=None if e.value < 0 else e.value),
      ).classes('w-full')

  def _slider(self, name: str, low: float, high: float, value: float) -> None:
    """A slider of a field of the wish."""
    self._knob(name, low, high, value, lambda x: self._set(**{name: x}))

  def _knob(self, label, low, high, value, change, step=0.05) -> None:
    with ui.row().classes('items-center w-full no-wrap gap-3'):
      ui.label(label).classes('text-sm w-24 shrink-0 break-words')
      slider = ui.slider(min=low, max=high, step=step, value=value)
      slider.classes('grow').props(f'aria-label="{label}"')
      shown = ui.label().classes('text-xs w-8 tabular-nums')
      shown.bind_text_from(slider, 'value', lambda x: f'{x:g}')
    slider.on(
      _SLIDER,
      lambda e: change(float(e.args)),
      throttle=_EVERY,
      leading_events=True,
    )

  def _mixing(self) -> None:
    layers = self.explorer.gan.num_layers
    seed = ui.number('mix with seed', value=None, min=0, step=1, format='%d')
    seed.classes('w-full').props('clearable')
    seed.on_value_change(
      lambda e: self._set(mix=None if e.value is None else int(e.value))
    )
    self._knob(
      'from layer', 1, layers - 1, 1, lambda x: self._set(layer=int(x)), 1
    )

  def _directions(self) -> None:
    """A slider for each direction, and a way to have more."""
    if not self.explorer.can_edit:
      return
    ui.label('directions').classes('text-sm mt-2')
    self._sliders = ui.column().classes('w-full gap-0')
    for name in self.explorer.directions:
      self._direction(name)
    options = self.explorer.suggested()
    ui.select(
      options,
      label='add one',
      with_input=True,
      new_value_mode='add-unique',
      clearable=True,
      on_change=self._add,
    ).classes('w-full')

  def _direction(self, name: str) -> None:
    def change(amount):
      amounts = {**dict(self.wish.amounts), name: amount}
      self._set(amounts=tuple(amounts.items()))

    with self._sliders:
      self._knob(name, -4.0, 4.0, 0.0, change, 0.1)

  def _uploads(self) -> None:
    explorer = self.explorer
    if not (explorer.can_edit or explorer.pictured):
      return
    what = 'invert an image' if explorer.can_edit else 'translate an image'
    ui.upload(
      label=what, auto_upload=True, max_files=1, on_upload=self._upload
    ).classes('w-full mt-2').props('accept="image/*" flat bordered')
    if explorer.can_edit:
      ui.button('Back to seeds', on_click=self._back).props('flat dense')

  # --- What happens -----------------------------------------------------------

  def _set(self, **fields: Any) -> None:
    """Changes the wish, and draws it as soon as the last picture is there."""
    for name, value in fields.items():
      if isinstance(value, float) and not math.isfinite(value):
        return
      seed = name in ('seed', 'mix') and value is not None
      if seed and not 0 <= value < 2**32 - 1:
        return
    self.wish = self.wish._replace(**fields)
    self._changed = True
    if not self._drawing:
      ui.timer(0.0, self._draw, once=True)

  async def _draw(self) -> None:
    """Draws the newest wish; those that came meanwhile are one."""
    if self._drawing:
      return
    self._drawing = True
    try:
      while True:
        self._changed = False
        data = await self._told(self.artist.png, self.wish, self._inverted)
        if data is not None:
          self._show(address(data))
        if not self._changed:
          return
        await asyncio.sleep(0)
    finally:
      self._drawing = False

  async def _told(self, function: Any, *arguments: Any) -> Any:
    """What a function gives, in a thread; a mistake is shown in one line."""
    try:
      return await run.io_bound(function, *arguments)
    except InputError as error:
      ui.notify(str(error), type='warning', multi_line=True)
      return None

  def _show(self, source: str) -> None:
    self._image.set_content(
      f'<img id="picture" src="{source}" alt="what the generator draws" '
      'style="max-width:100%;image-rendering:pixelated">'
    )

  async def _walk(self) -> None:
    self._words.set_text('drawing a walk')
    data = await self._told(self.artist.gif, self.wish)
    self._words.set_text('')
    if data is not None:
      self._show(address(data, 'gif'))

  async def _save(self) -> None:
    path = await self._told(self.artist.save, self.wish, self._inverted)
    if path is not None:
      self._words.set_text(f'saved as {path}')

  async def _add(self, event: events.ValueChangeEventArguments) -> None:
    name = event.value
    if not name or name in self.explorer.directions:
      return
    if name.endswith(SUFFIX):  # no files, for whoever sees the page
      ui.notify('name a direction, not a file', type='warning')
      return
    self._words.set_text(f'finding {name}')
    found = await self._told(self.explorer.add, name)
    self._words.set_text('')
    if found is not None:
      self._direction(found.name)
      event.sender.set_value(None)

  async def _upload(self, event: events.UploadEventArguments) -> None:
    data = await event.file.read()
    event.sender.reset()
    self._words.set_text('looking at the image')
    told = await self._told(self.artist.upload, data)
    if told is None:
      self._words.set_text('')
      return
    words, found = told
    self._words.set_text(words)
    if isinstance(found, bytes):
      self._show(address(found))
      return
    self._inverted = found
    await self._draw()

  async def _back(self) -> None:
    self._inverted = None
    self._words.set_text('')
    await self._draw()
