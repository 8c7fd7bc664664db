"""What every stage has in common: a command whose errors are one clear message, and one kind of progress bar."""

import functools
import os
from collections.abc import Callable, Iterable, Sized
from typing import TYPE_CHECKING, Any, TypeVar

import click
from tqdm import tqdm

from pipeline.errors import InputError
from pipeline.runs import dvc_lock, integrity

if TYPE_CHECKING:  # a stage without parameters need not wait for them
    from pipeline.params import Params
    from pipeline.storage.resume import Pieces

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
        try:
            if "DVC_STAGE" in os.environ:
                dvc_lock.keep()  # DVC has written all that came before this stage
                integrity.check_inputs(name)
            try:
                function(**options)
            except InputError:
                raise
            except Exception:
                integrity.check_inputs(name)
                raise
        except InputError as error:
            raise click.ClickException(str(error)) from error

    return click.command()(run)


def progress(params: "Params", label: str, unit: str, total: int) -> Callable[[Iterable[T]], Iterable[T]]:
    """Wrap an iteration in a progress bar on stderr; quiet when stderr is no terminal.

    What is missing to `total` from an iterable of known length was done by an earlier run.
    """

    def wrap(iterable: Iterable[T]) -> Iterable[T]:
        done = total - len(iterable) if isinstance(iterable, Sized) else 0
        return tqdm(iterable, desc=label, unit=unit, total=total, initial=done, disable=_disable(params))

    return wrap


def counter(params: "Params", label: str, unit: str, total: int, done: int) -> "tqdm[Any]":
    """Progress bar for `update(n)`, with n of any size; the `done` of an earlier run do not count into its speed."""
    return tqdm(desc=label, unit=unit, total=total, initial=done, disable=_disable(params))


def say_what_was_kept(name: str, what: str, kept: "Pieces", epochs: int) -> None:
    """Say what an interrupted training left, and what of it is used.

    `name` is that of the stage, `what` what it trains.
    """
    if kept.stale:
        click.echo(f"{name}: an interrupted training of {what} had other data, settings or code: it is not used")
    for damaged in kept.damaged:
        click.echo(f"Warning: {damaged} is not what was written to it and is not used", err=True)
    if kept.finished:
        click.echo(f"{name}: {what}: going on after epoch {max(kept.finished)} of {epochs}")


def _disable(params: "Params") -> bool | None:
    return None if params.runtime.progress else True  # None: where stderr is no terminal
