"""
zstd as Python 3.14 has it (PEP 784), from where this Python has it.
"""

import sys

if sys.version_info >= (3, 14):  # pragma: no cover - the tests run on one version
    from compression.zstd import ZstdError, ZstdFile
else:
    from backports.zstd import ZstdError, ZstdFile

__all__ = ["ZstdError", "ZstdFile"]
