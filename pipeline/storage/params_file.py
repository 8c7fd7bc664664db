"""Change values in params.yaml and nothing else: comments, order and alignment stay."""

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.tokens import CommentToken


class Change(NamedTuple):
    """A value that is another now; `old` is None for one that was not there, `new` for one that is not any more."""

    key: str
    """`train.epochs`."""
    old: Any
    new: Any

    def __str__(self) -> str:
        if self.old is None:
            return f"{self.key}: {_shown(self.new)}"
        return f"{self.key}: removed" if self.new is None else f"{self.key}: {_shown(self.old)} → {_shown(self.new)}"


def changed(path: Path, values: Mapping[str, Any]) -> tuple[str, list[Change]]:
    """Text of a YAML file with other values, and what changes; the file stays as it is.

    Lists and numbers come out in the form that DVC gives them when it writes the file for an experiment.

    Parameters
    ----------
    path
        File with all the keys of `values`.
    values
        New values by key, `train.epochs`; plain text, numbers, lists and mappings.
    """
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 2**16  # a long path stays on its line
    document = yaml.load(path)
    column = _usual_column(document)
    changes: list[Change] = []
    for key, value in values.items():
        *sections, name = key.split(".")
        section = document
        for part in sections:
            section = section[part]
        old = _plain(section[name])
        if old == value and isinstance(old, bool) == isinstance(value, bool):
            continue
        changes += _leaves(key, old, value)
        _replace(section, name, value)
        _align(section, name, column)
    text = io.StringIO()
    yaml.dump(document, text)
    return text.getvalue(), changes


def _leaves(key: str, old: Any, new: Any) -> Iterator[Change]:
    """What changes in a value; of a mapping, entry by entry."""
    if isinstance(new, dict) and (old is None or isinstance(old, dict)):
        before = old or {}
        for name in [*before, *(name for name in new if name not in before)]:
            yield from _leaves(f"{key}.{name}", before.get(name), new.get(name))
        if not new and old is None:
            yield Change(key, old, new)
    elif old != new:
        yield Change(key, old, new)


def _replace(section: CommentedMap, name: str, value: Any) -> None:
    """Put a value in place; what stands behind the old one, down to the next key, goes behind the new one."""
    after = _take_comment(section, name)
    if isinstance(value, (list, dict)) and value:
        collection = _commentable(value)
        section[name] = collection
        beside, below = _split(after)
        if beside:
            section.ca.items[name] = [None, None, beside, None]
        if below:
            _put_below(collection, below)
    else:
        section[name] = value
        if after:
            section.ca.items[name] = [None, None, after, None]


def _commentable(value: Any) -> Any:
    """The same value in collections that can hold comments, at every depth; empty ones stay on their line."""
    if isinstance(value, dict) and value:
        return CommentedMap({name: _commentable(item) for name, item in value.items()})
    if isinstance(value, list) and value:
        return CommentedSeq(map(_commentable, value))
    return value


def _put_below(collection: CommentedMap | CommentedSeq, below: CommentToken) -> None:
    """Put a comment behind the last line of a collection, which may be that of a collection inside it."""
    last = len(collection) - 1 if isinstance(collection, CommentedSeq) else list(collection)[-1]
    inner = collection[last]
    if isinstance(inner, (CommentedSeq, CommentedMap)) and inner:
        _put_below(inner, below)
        return
    in_list = isinstance(collection, CommentedSeq)
    collection.ca.items[last] = [below, None, None, None] if in_list else [None, None, below, None]


def _take_comment(section: CommentedMap, name: str) -> CommentToken | None:
    """Remove and give all that stands behind a key: beside it, and below the last line of its value."""
    tokens = [*_tokens(section.ca.items.pop(name, [])), *_inner_tokens(section[name])]
    return CommentToken("".join(token.value for token in tokens), tokens[0].start_mark) if tokens else None


def _inner_tokens(value: Any) -> Iterator[CommentToken]:
    """Comments inside a list or mapping, at any depth."""
    if isinstance(value, (CommentedSeq, CommentedMap)):
        for key, item in value.items() if isinstance(value, CommentedMap) else enumerate(value):
            yield from _tokens(value.ca.items.get(key, []))
            yield from _inner_tokens(item)


def _tokens(parts: list[Any]) -> Iterator[CommentToken]:
    for part in parts:
        yield from (token for token in (part if isinstance(part, list) else [part]) if token is not None)


def _split(token: CommentToken | None) -> tuple[CommentToken | None, CommentToken | None]:
    """What stands beside the key, and what stands in the lines below; these begin with the end of a line."""
    if token is None:
        return None, None
    beside, _, below = token.value.partition("\n")
    first = CommentToken(f"{beside}\n", token.start_mark) if beside else None
    rest = CommentToken(f"\n{below}", token.start_mark) if below else None
    return first, rest


def _align(section: CommentedMap, name: str, column: int) -> None:
    token = section.ca.items.get(name, [None, None, None])[2]
    if token is not None:
        token.column = column


def _usual_column(document: CommentedMap) -> int:
    """Column of most comments that stand beside a value."""
    columns: Counter[int] = Counter()
    pending: list[CommentedMap | CommentedSeq] = [document]
    while pending:
        node = pending.pop()
        for parts in node.ca.items.values():
            columns.update(token.start_mark.column for token in _tokens(parts) if token.value.startswith("#"))
        children = node.values() if isinstance(node, CommentedMap) else node
        pending += [child for child in children if isinstance(child, (CommentedMap, CommentedSeq))]
    return columns.most_common(1)[0][0] if columns else 0


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "''" if value == "" else str(value)
