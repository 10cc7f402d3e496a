"""Does RL with verifiable rewards shrink or expand what a language model can solve?"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("boundary-bench")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
