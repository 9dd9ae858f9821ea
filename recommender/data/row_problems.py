"""Lines of a source file that cannot be used, collected, bounded and told in one error."""

from dataclasses import dataclass, field
from pathlib import Path

from recommender.errors import DataError

SHOWN = 5
"""How many lines an error quotes; the rest is counted."""

_VALUE_LENGTH = 60


@dataclass(frozen=True)
class RowProblem:
    """One line that cannot be used: which field, what stands there, what is wrong with it."""

    line: int
    field: str
    value: str
    wrong: str

    def __str__(self) -> str:
        value = self.value if len(self.value) <= _VALUE_LENGTH else self.value[:_VALUE_LENGTH] + "…"
        return f"line {self.line}, {self.field}: {value!r} {self.wrong}"


@dataclass
class RowProblems:
    """The problems found in one file: the first few in full, all of them counted."""

    path: Path
    shown: list[RowProblem] = field(default_factory=list)
    count: int = 0

    def add(self, problem: RowProblem) -> None:
        """Count a problem, and keep it if it is among the first."""
        self.count += 1
        if len(self.shown) < SHOWN:
            self.shown.append(problem)

    def raise_if_any(self) -> None:
        """Say everything that was found in one go.

        Raises:
            DataError: at least one line cannot be used.
        """
        if not self.count:
            return
        lines = "1 line" if self.count == 1 else f"{self.count:,} lines"
        told = "".join(f"\n  {problem}" for problem in self.shown)
        more = f"\n  and {self.count - len(self.shown):,} more" if self.count > len(self.shown) else ""
        raise DataError(
            f"{self.path}: {lines} cannot be used.{told}{more}\n"
            "Mend or remove what is named here, or fetch the file again if it was cut short."
        )
