"""DVC that gets a signal while it writes: python -m tests.campaign.aimed_dvc lock|rwlock NTH SHARE SIGNAL ARGUMENTS

It sends itself SIGNAL in the middle of the NTH time that it writes dvc.lock or its rwlock, after SHARE of the content.
"""

import io
import json
import os
import signal
import sys
from types import SimpleNamespace
from typing import Any, TextIO

import dvc.rwlock
from dvc.cli import main
from dvc.utils.serialize import _yaml


class Aim:
    """Counts the writes, and fires at one of them."""

    def __init__(self, nth: int, share: float, number: int) -> None:
        self._left, self._share, self._signal = nth, share, number

    def write(self, text: str, stream: TextIO) -> None:
        """Write the text, or a part of it."""
        self._left -= 1
        if self._left:
            stream.write(text)
            return
        stream.write(text[: int(self._share * len(text))])
        stream.flush()
        os.kill(os.getpid(), self._signal)
        stream.write(text[int(self._share * len(text)) :])  # not reached: Python raises KeyboardInterrupt before it


def run(what: str, nth: int, share: float, number: int, arguments: list[str]) -> int:
    """Run DVC with these arguments."""
    aim = Aim(nth, share, number)
    if what == "lock":
        dump = _yaml._dump

        def aimed(data: Any, stream: TextIO) -> None:
            text = io.StringIO()
            dump(data, text)
            if str(getattr(stream, "name", "")).endswith("dvc.lock"):
                aim.write(text.getvalue(), stream)
            else:
                stream.write(text.getvalue())

        _yaml._dump = aimed
    else:
        dvc.rwlock.json = SimpleNamespace(
            load=json.load,
            dumps=json.dumps,
            loads=json.loads,
            JSONDecodeError=json.JSONDecodeError,
            dump=lambda content, stream: aim.write(json.dumps(content), stream),
        )
    return main(arguments)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _, what, nth, share, name, *rest = sys.argv
    sys.exit(run(what, int(nth), float(share), getattr(signal, name), rest))
