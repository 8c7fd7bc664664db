"""How this process gets its memory from the system."""

import contextlib
import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's <malloc.h>


def keep_freed_memory() -> None:
    """Let freed memory be used again instead of giving it back to the system; on Linux with glibc, nothing elsewhere.

    The arrays of a training step, or of one clip after another, are large and always of the same sizes. By default each
    is fetched from the system, page by page, and returned: a third of the time of a training step on a CPU. The most
    that the process holds at any time stays the same.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library, or none that can be named
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_MAX, 0)
        library.mallopt(_M_TRIM_THRESHOLD, -1)
