"""What every stage has in common: a command whose errors are one clear message, and one kind of progress bar."""

import functools
import os
from collections.abc import Callable, Iterable, Sized
from typing import Any, TypeVar

import click
from tqdm import tqdm

from pipeline.errors import InputError
from pipeline.params import Params
from pipeline.runs import dvc_lock, integrity

T = TypeVar("T")


def stage(function: Callable[..., None]) -> click.Command:
    """Make a command of a stage; bad input ends it with its message and exit code 1, without a traceback.

    Where DVC runs it, its inputs must be what dvc.lock says of them. By hand, they may be anything that works; what
    ends in an error is compared afterwards, so that a damaged file is named.
    """
    code = function.__globals__["__spec__"]
    name = "" if code is None else code.name.rpartition(".")[2]

    @functools.wraps(function)
    def run(**options: str) -> None:
        check = functools.partial(integrity.check_inputs, name, *([*options.values()] or [""]))
        try:
            if "DVC_STAGE" in os.environ:
                dvc_lock.keep()  # DVC has written all that came before this stage
                check()
            try:
                function(**options)
            except InputError:
                raise
            except Exception:
                check()
                raise
        except InputError as error:
            raise click.ClickException(str(error)) from error

    return click.command()(run)


def progress(params: Params, label: str, unit: str, total: int) -> Callable[[Iterable[T]], Iterable[T]]:
    """Wrap an iteration in a progress bar on stderr; quiet when stderr is no terminal.

    What is missing to `total` from an iterable of known length was done by an earlier run.
    """

    def wrap(iterable: Iterable[T]) -> Iterable[T]:
        done = total - len(iterable) if isinstance(iterable, Sized) else 0
        return tqdm(iterable, desc=label, unit=unit, total=total, initial=done, disable=_disable(params))

    return wrap


def counter(params: Params, label: str, unit: str, total: int, done: int) -> "tqdm[Any]":
    """Progress bar for `update(n)`, with n of any size; the `done` of an earlier run do not count into its speed."""
    return tqdm(desc=label, unit=unit, total=total, initial=done, disable=_disable(params))


def _disable(params: Params) -> bool | None:
    return None if params.runtime.progress else True  # None: where stderr is no terminal
