"""A fingerprint of Marquee's own code, so that a changed step is not answered from the cache."""

import hashlib
import subprocess
from importlib import metadata
from pathlib import Path

import components
import recommender


def source_digest() -> str:
    """sha256 over everything that a step runs: the library, the steps, and the versions installed."""
    digest = hashlib.sha256()
    for package in (components, recommender):
        folder = Path(str(package.__file__)).parent
        for file in sorted(folder.rglob("*")):
            if file.suffix in {".py", ".html", ".j2"}:
                digest.update(file.relative_to(folder).as_posix().encode() + b"\0")
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    for name, version in sorted({(dist.name, dist.version) for dist in metadata.distributions()}):
        digest.update(f"{name}=={version}\n".encode())
    return digest.hexdigest()


def git_commit() -> str | None:
    """The commit of the working copy that Marquee runs from, marked if files were changed since."""
    folder = Path(str(recommender.__file__)).parent

    def git(*arguments: str) -> str:
        # The program's name is enough: which git it is does not matter to a label in a manifest.
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603

    try:
        commit = git("rev-parse", "HEAD")
        # A folder that another repository happens to contain says nothing about Marquee.
        if not git("ls-files", "--error-unmatch", str(folder / "__init__.py")):
            return None
        return f"{commit}-changed" if git("status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.CalledProcessError):
        return None
