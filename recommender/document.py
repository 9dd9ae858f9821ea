"""What one step leaves for the next, or for a person, as one JSON file."""

from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from recommender.errors import DataError


class Document(BaseModel):
    """A frozen object that is kept as one JSON file in the folder of an artifact."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    file_name: ClassVar[str]
    """Of the file."""
    written_by: ClassVar[str]
    """The step that writes it."""

    def write(self, folder: Path) -> Path:
        """Write the file into a folder, which is made if it is not there, and return its path."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / self.file_name
        file.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return file

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the file from a folder.

        Raises:
            DataError: it is missing or holds something else.
        """
        file = folder / cls.file_name
        try:
            return cls.model_validate_json(file.read_bytes())
        except (OSError, ValidationError) as error:
            raise DataError(f"{file} cannot be used ({error}): run {cls.written_by} again.") from error
