"""Pages in a real browser, where Playwright and Chromium are there."""

import contextlib
import shutil

import pytest

# What a page may not do offline, and what a machine without a screen needs.
_FLAGS = (
  '--no-sandbox --disable-gpu --disable-quic --no-first-run '
  '--disable-background-networking --disable-component-update --disable-sync'
).split()


@contextlib.contextmanager
def opened(url, width=1280, scheme='light'):
  """A page, and what it has complained of and asked for (a list that grows)."""
  api = pytest.importorskip('playwright.sync_api')
  path = shutil.which('chromium') or shutil.which('google-chrome')
  if path is None:
    pytest.skip('there is no Chromium')
  with api.sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
    page = browser.new_page(
      viewport={'width': width, 'height': 900}, color_scheme=scheme
    )
    trouble = []
    page.on('pageerror', lambda error: trouble.append(str(error)))
    page.on(
      'console',
      lambda message: (
        trouble.append(message.text) if message.type == 'error' else None
      ),
    )
    page.on('request', lambda request: trouble.append(request.url))
    page.goto(url)
    yield page, trouble
    browser.close()
