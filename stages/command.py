"""What every stage has in common: a command whose errors are one clear message, and one progress bar."""

import functools
from collections.abc import Callable, Iterable
from typing import TypeVar

import click
from tqdm import tqdm

from pipeline.errors import InputError
from pipeline.params import Params

T = TypeVar("T")


def stage(function: Callable[..., None]) -> click.Command:
    """Make a command of a stage; bad input ends it with its message and exit code 1, without a traceback."""

    @functools.wraps(function)
    def run(*args: object, **options: object) -> None:
        try:
            function(*args, **options)
        except InputError as error:
            raise click.ClickException(str(error)) from error

    return click.command()(run)


def progress(params: Params, label: str, unit: str, total: int) -> Callable[[Iterable[T]], Iterable[T]]:
    """Wrap an iteration in a progress bar on stderr; quiet when stderr is no terminal."""
    disable = None if params.runtime.progress else True
    return functools.partial(tqdm, desc=label, unit=unit, total=total, disable=disable)
