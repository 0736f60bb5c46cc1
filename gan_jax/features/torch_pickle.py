"""The language of pickles, as far as a dict of PyTorch's tensors needs it.

A pickle is a program, and what it calls may be anything. `pickle` is not used
here: `Machine` carries out the few instructions that a state dict is made of,
and what it builds are dicts, lists, tuples, strings, numbers and `Tensor`s.
"""

import pickletools
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, NamedTuple

MOST_INSTRUCTIONS = 2**20  # of a pickle; the FID Inception has some 20,000
_MOST_NUMBERS = 1 + 2 * 32  # of a tensor: where it starts, shape, strides
DTYPES = {
  'FloatStorage': '<f4',
  'DoubleStorage': '<f8',
  'HalfStorage': '<f2',
  'LongStorage': '<i8',
  'IntStorage': '<i4',
  'ShortStorage': '<i2',
  'CharStorage': '<i1',
  'ByteStorage': '<u1',
  'BoolStorage': '<?',
}


class Storage(NamedTuple):
  """A one-dimensional array of the file; `first` is where a view starts."""

  key: str
  dtype: str
  numel: int
  first: int


class Tensor(NamedTuple):
  """A tensor whose storage is yet to be read."""

  storage: Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]


class _Name(NamedTuple):
  """A global that a pickle names, one of `_NAMES`."""

  full: str


def _tensor(storage, offset, shape, strides, *_) -> Tensor:
  numbers = (offset, *shape, *strides)
  if not isinstance(storage, Storage):
    raise ValueError('it has a tensor without a storage')
  if len(numbers) > _MOST_NUMBERS or not all(map(_is_whole, numbers)):
    raise ValueError('it has a tensor whose shape is no shape')
  return Tensor(storage, offset, tuple(shape), tuple(strides))


def _is_whole(value: Any) -> bool:
  return type(value) is int and -(2**63) <= value < 2**63


def _filled(items: dict[Any, Any], keys: Sequence, values: Sequence) -> dict:
  for key, value in zip(keys, values, strict=True):
    if type(key) is not str:
      what = key if _is_whole(key) else f'a {type(key).__name__}'
      raise ValueError(f"{what} is no tensor's name")
    items[key] = value
  return items


def _ordered_dict(pairs: Sequence[tuple[Any, Any]] = ()) -> dict[Any, Any]:
  return _filled({}, [key for key, _ in pairs], [value for _, value in pairs])


# Calls that a state dict makes: its own type, and tensors.
_CALLS: dict[str, Callable[..., Any]] = {
  'collections.OrderedDict': _ordered_dict,
  'torch._utils._rebuild_tensor': _tensor,
  'torch._utils._rebuild_tensor_v2': _tensor,
  'torch._utils._rebuild_parameter': lambda tensor, *_: tensor,
}
_NAMES = {*_CALLS, *(f'torch.{name}' for name in DTYPES)}
# What an instruction joins, of what was pushed last; others: back to a mark.
_JOINED = {'EMPTY_TUPLE': 0, 'TUPLE1': 1, 'TUPLE2': 2, 'TUPLE3': 3} | {
  'APPEND': 1,
  'SETITEM': 2,
}
_CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False}
_PUSHED = (  # instructions that carry what they push
  ('BININT', 'BININT1', 'BININT2', 'LONG1') + ('BINUNICODE', 'SHORT_BINUNICODE')
)


class Machine:
  """Carries out a pickle, and notes the storages that it refers to.

  Only strings are hashed, and only they and numbers are compared or printed: a
  pair of one pair twice, and so on forty deep, takes years to hash.
  """

  def __init__(self):
    self.storages: dict[str, Storage] = {}
    self._stack: list[Any] = []
    self._marks: list[int] = []
    self._memo: dict[int, Any] = {}
    self._left = MOST_INSTRUCTIONS

  def run(self, file: BinaryIO) -> Any:
    """What the next pickle of a stream stands for."""
    for count, (code, value, _) in enumerate(pickletools.genops(file)):
      self._spend(1)
      if code.name.endswith('BINPUT') and value > count:
        raise ValueError(f'note {value} after {count} instructions')
      self._step(code.name, value)
    return self._stack.pop()

  def _spend(self, num: int) -> None:
    self._left -= num
    if self._left < 0:
      raise ValueError(f'it has more than {MOST_INSTRUCTIONS:,} instructions')

  def _step(self, code: str, value: Any) -> None:
    push, pop = self._stack.append, self._stack.pop
    match code:
      case 'PROTO' | 'FRAME' | 'STOP':
        pass
      case 'NONE' | 'NEWTRUE' | 'NEWFALSE':
        push(_CONSTANTS[code])
      case _ if code in _PUSHED:
        push(value)
      case 'MARK':
        self._marks.append(len(self._stack))
      case 'GLOBAL':
        push(_name(*value.split(' ', 1)))
      case 'STACK_GLOBAL':
        name, module = pop(), pop()
        push(_name(module, name))
      case 'BINPUT' | 'LONG_BINPUT':
        self._memo[value] = self._stack[-1]
      case 'MEMOIZE':
        self._memo[len(self._memo)] = self._stack[-1]
      case 'BINGET' | 'LONG_BINGET':
        push(self._memo[value])
      case 'EMPTY_LIST':
        push([])
      case 'EMPTY_DICT':
        push({})
      case 'EMPTY_TUPLE' | 'TUPLE1' | 'TUPLE2' | 'TUPLE3' | 'TUPLE':
        push(tuple(self._take(code)))
      case 'APPEND' | 'APPENDS':
        items = self._take(code)
        self._top(list).extend(items)
      case 'SETITEM' | 'SETITEMS':
        items = self._take(code)
        _filled(self._top(dict), items[::2], items[1::2])
      case 'REDUCE':
        arguments, function = pop(), pop()
        push(self._call(function, arguments))
      case 'BUILD':  # attributes, such as the versions of a state dict
        pop()
      case 'BINPERSID':
        push(self._storage(pop()))
      case _:
        raise ValueError(f'{code} is no part of a state dict')

  def _take(self, code: str) -> list[Any]:
    """Pops what an instruction joins, in order."""
    num = _JOINED.get(code)
    start = self._marks.pop() if num is None else len(self._stack) - num
    if not 0 <= start <= len(self._stack):
      raise ValueError(f'{code} has too little to join')
    taken = self._stack[start:]
    del self._stack[start:]
    return taken

  def _top(self, kind: type) -> Any:
    if type(self._stack[-1]) is not kind:
      raise ValueError(f'it adds to what is no {kind.__name__}')
    return self._stack[-1]

  def _call(self, function: Any, arguments: Any) -> Any:
    if type(function) is not _Name or function.full not in _CALLS:
      raise ValueError('it calls what is not part of a state dict')
    if type(arguments) is not tuple:
      raise ValueError('it makes a call without arguments')
    # One long list may be the argument of many calls.
    self._spend(len(arguments))
    self._spend(sum(len(x) for x in arguments if type(x) in (list, tuple)))
    return _CALLS[function.full](*arguments)

  def _storage(self, pid: Any) -> Storage:
    """What a reference to something outside of the pickle stands for."""
    if type(pid) is not tuple or len(pid) not in (5, 6):
      raise ValueError('it refers to what is no storage')
    kind, dtype, key, _, numel, *view = pid
    if kind != 'storage' or type(key) is not str or type(dtype) is not _Name:
      what = repr(kind) if type(kind) is str else f'a {type(kind).__name__}'
      raise ValueError(f'it refers to {what}, which is no storage')
    if not _is_whole(numel):
      raise ValueError(f'storage {key} has no whole number of numbers')
    dtype = DTYPES[dtype.full.removeprefix('torch.')]
    storage = self.storages.setdefault(key, Storage(key, dtype, numel, 0))
    if view and view[0] is not None:
      _, first, _ = view[0]
      if not _is_whole(first):
        raise ValueError(f'a view of storage {key} starts nowhere')
      storage = storage._replace(first=first)
    return storage


def _name(module: Any, name: Any) -> _Name:
  full = f'{module}.{name}' if type(module) is type(name) is str else ''
  if full not in _NAMES:
    raise ValueError(f'it asks for {full}, which is not part of a state dict')
  return _Name(full)


def unpickle(file: BinaryIO) -> tuple[Any, dict[str, Storage]]:
  """The next pickle of a stream, and the storages that it refers to."""
  machine = Machine()
  return machine.run(file), machine.storages
