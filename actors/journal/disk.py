"""The few operating-system calls that the journal stands on, in one place.

Everything else in this folder does its file work through a `Disk`, so that a test can let one call fail in a way that
no real disk will do on request (an `fdatasync` error, a cut that is refused).  The class is the real thing; there is
no other one in the product.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700


class Disk:
    """Plain calls; each raises OSError as the kernel says it."""

    def make_directory(self, path: Path) -> None:
        """Create `path` and what is missing above it; what we create, only we can read."""
        missing = [path, *path.parents]
        for folder in reversed([p for p in missing if not p.exists()]):
            folder.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)

    def names(self, directory: Path) -> list[str]:
        """Names in a directory, sorted."""
        return sorted(os.listdir(directory))

    def create(self, path: Path) -> int:
        """A new file for appending; FileExistsError when there is one already."""
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)

    def append_to(self, path: Path) -> int:
        """An existing or new file for appending."""
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)

    def write(self, fd: int, data: bytes) -> int:
        """Bytes really written, which may be fewer than given."""
        return os.write(fd, data)

    def size(self, path: Path) -> int:
        """Length of a file in bytes."""
        return os.stat(path).st_size

    def read(self, path: Path, offset: int = 0, length: int = -1) -> bytes:
        """`length` bytes from `offset`, fewer at the end of the file; -1 reads to the end."""
        with path.open("rb", buffering=0) as file:
            if offset:
                file.seek(offset)
            return file.read(length)

    def truncate(self, path: Path, size: int) -> None:
        """Cut a file to `size` bytes."""
        os.truncate(path, size)

    def sync(self, fd: int) -> None:
        """Wait until the data of a file is on the disk.

        After an error nothing is known: the kernel may have thrown the pages away and will report success next time.
        """
        os.fdatasync(fd)

    def sync_file(self, path: Path) -> None:
        """`sync` for a file that is closed; the kernel reports an error that nobody has been told of yet."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.sync(fd)
        finally:
            os.close(fd)

    def sync_directory(self, path: Path) -> None:
        """Wait until the names in a directory are on the disk."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def close(self, fd: int) -> None:
        """Give a descriptor back."""
        os.close(fd)

    def remove(self, path: Path) -> None:
        """Delete a file, if there is one."""
        path.unlink(missing_ok=True)

    def replace(self, source: Path, target: Path) -> None:
        """Rename; `target` is the old file or the new one, never something between."""
        source.replace(target)

    def write_whole(self, path: Path, data: bytes) -> None:
        """Write a file so that a reader, now or after a power cut, finds all of it or the one before."""
        draft = path.with_name(path.name + ".new")
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE_FILE)
        try:
            self.write_all(fd, data)
            self.sync(fd)
        finally:
            os.close(fd)
        self.replace(draft, path)

    def write_all(self, fd: int, data: bytes) -> None:
        """Write every byte; an error may leave the first part of them behind."""
        rest = data
        while rest:
            rest = rest[self.write(fd, rest) :]

    def lock(self, path: Path) -> int | None:
        """The descriptor that holds an exclusive lock on `path`, or None when another process has it.

        The kernel lets go of the lock when the process ends, however it ends.
        """
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return fd

    def note(self, fd: int, text: str) -> None:
        """Replace the content of a small open file."""
        os.ftruncate(fd, os.pwrite(fd, text.encode(), 0))
