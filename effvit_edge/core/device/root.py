"""Files of the device, below a root that tests replace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DeviceRoot:
    """Reads device files; what cannot be read is None, since no board has all of them.

    Args:
        path: what stands for ``/``.
    """

    path: Path = Path("/")

    def at(self, name: str) -> Path:
        """Where ``/name`` lies."""
        return self.path / name.lstrip("/")

    def read(self, name: str) -> str | None:
        """A text file, without the blanks and NULs around it that the kernel's files have."""
        try:
            text = self.at(name).read_text("utf-8", errors="replace")
        except OSError:
            return None
        return text.strip("\0 \n\t")

    def exists(self, name: str) -> bool:
        """Whether there is anything of that name."""
        try:
            return self.at(name).exists()
        except OSError:
            return False

    def find(self, pattern: str) -> list[Path]:
        """What matches a pattern such as ``dev/video*``, sorted."""
        try:
            return sorted(self.path.glob(pattern.lstrip("/")))
        except OSError:
            return []

    def name_of(self, path: Path) -> str:
        """A found path as the device itself would call it."""
        return "/" + path.relative_to(self.path).as_posix()
