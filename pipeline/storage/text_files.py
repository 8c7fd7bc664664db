"""Text files of other people's programs, in the encodings that a file itself can tell."""

import codecs

UNREADABLE = "\ufffd"
"""Stands for what is in an encoding that the file does not tell."""


def text_of(content: bytes) -> str:
    """Return the text of a file in UTF-16 with its mark or in UTF-8, with or without a mark.

    In other encodings, what is not ASCII becomes `UNREADABLE`: guessing would turn the umlauts of one country into the
    characters of another.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("ascii", errors="replace")
