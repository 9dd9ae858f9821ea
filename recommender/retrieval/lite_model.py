"""A converted model that answers in microseconds, without TensorFlow."""

from pathlib import Path
from threading import Lock
from typing import Any

import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from recommender.errors import ReleaseError


class LiteModel:
    """A LiteRT file, mapped into memory, so that processes which serve the same one share it.

    Safe to call from several threads: calls wait for each other, as an interpreter has one set of buffers.

    Args:
        file: Has one signature.

    Raises:
        ReleaseError: the file is missing or holds something else.
    """

    def __init__(self, file: Path) -> None:
        try:
            # Without XNNPACK, which keeps a packed copy of all weights and answers no sooner at this size.
            self._interpreter = Interpreter(
                model_path=str(file),
                num_threads=1,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._runner = self._interpreter.get_signature_runner()
        except (OSError, RuntimeError, ValueError) as error:
            raise ReleaseError(
                f"{file} is no model that LiteRT can run ({error}). Run the pipeline again."
            ) from error
        self._lock = Lock()

    def __call__(self, **inputs: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """Run the signature.

        Args:
            inputs: Arrays by name, of the types that the signature has and of any length where it has none.

        Returns:
            Arrays by name, the caller's own.
        """
        with self._lock:
            answer: dict[str, npt.NDArray[Any]] = self._runner(**inputs)
        return answer
