"""Writing files so that no incomplete file ever has the final name."""

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from pushforward.errors import InputError
from pushforward.support.arguments import check_local

try:
    import fcntl
except ImportError:  # Windows, where a file in use cannot be deleted anyway
    fcntl = None  # type: ignore[assignment]

_DEVICE_FAILURES = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


def reason(error: OSError) -> str:
    """Return the reason of the operating system in a few words.

    Arguments:
        error: an error raised by Python or by pyarrow.

    Returns:
        The system's own words, such as `No space left on device`, without the path and the error number.

    Example:
        >>> reason(PermissionError(13, "Permission denied", "model.json"))
        'Permission denied'
    """
    return os.strerror(error.errno) if error.errno else str(error)


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Refuse a name under which no file can be written, before the work.

    Arguments:
        path: the name of a file.

    Returns:
        The file behind symbolic links.

    Raises:
        InputError: the name is empty or an address, the folder is missing or write-protected, or the name belongs to a
            folder, a device or a write-protected file.
    """
    check_local(os.fspath(path), "results")
    final = Path(os.path.realpath(path))
    try:
        final.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:  # such as a name that is too long
        raise InputError(f"cannot write {final.name[:100]}…: {reason(error)}; give another name.") from error
    if final.is_dir():
        raise InputError(f"cannot write {path}: it is a folder; give the name of a file.")
    if final.exists() and not final.is_file():
        raise InputError(f"cannot write {path}: it is not an ordinary file; give the name of a file.")
    if final.exists() and not os.access(final, os.W_OK):
        raise InputError(f"cannot write {path}: it is write-protected; give another name.")
    if not final.parent.is_dir():
        raise InputError(f"cannot write {path}: the folder {final.parent} does not exist; create it first.")
    if not os.access(final.parent, os.W_OK):
        raise InputError(f"cannot write {path}: the folder {final.parent} is write-protected; choose another one.")
    return final


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path, whose file is given the final name only if the block ends without an exception.

    A process that is killed inside the block leaves its temporary file, `.NAME.….unfinished` with the ending of the
    final name; the next process that writes to the same name deletes it.

    Arguments:
        path: the final name. A symbolic link is followed; an older file of that name is kept if anything fails.

    Yields:
        The path of an empty file in the same folder and with the same ending, to overwrite inside the block.

    Raises:
        InputError: the name is empty or an address, the folder is missing or cannot be written to, the name belongs to
            a folder, a device or a write-protected file, or the disk is full.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_path(Path(folder) / "note.txt") as temporary:
        ...         _ = temporary.write_text("done")
        ...     (Path(folder) / "note.txt").read_text()
        'done'
    """
    final = check_writable(path)
    # The ending is kept because many writers choose their format by it.
    temporary = final.with_name(f".{final.stem[:100]}.{secrets.token_hex(6)}.unfinished{final.suffix}")
    _sweep(final)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except OSError as error:
        raise InputError(f"cannot write {path}: {reason(error)}.") from error
    # Held as long as this process lives, so that others know that it is still writing.
    _lock(descriptor)
    try:
        yield temporary
        try:
            _settle(temporary, final)
        except OSError as error:
            raise InputError(f"cannot write {path}: {reason(error)}.") from error
    except OSError as error:
        # Any other system error in the block may concern another file.
        if error.errno in _DEVICE_FAILURES:
            raise InputError(f"cannot write {path}: {reason(error)}.") from error
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        os.close(descriptor)


@contextlib.contextmanager
def as_before_on_failure(path: Path) -> Iterator[Path]:
    """Give a small file its old content, or delete it, if the block that writes it ends with an exception.

    Arguments:
        path: the file, which need not exist.

    Yields:
        The path.
    """
    absent, before = not os.path.lexists(path), None
    with contextlib.suppress(OSError):
        before = path.read_bytes() if path.is_file() else None
    try:
        yield path
    except BaseException:
        with contextlib.suppress(OSError):
            if before is not None:
                path.write_bytes(before)
            elif absent:
                path.unlink(missing_ok=True)
        raise


def _sweep(final: Path) -> None:
    """Delete the temporary files that killed processes have left."""
    if fcntl is None:
        return
    leftover = re.compile(re.escape(f".{final.stem[:100]}.") + r"[0-9a-f]{12}\.unfinished" + re.escape(final.suffix))
    with contextlib.suppress(OSError):
        for name in os.listdir(final.parent):
            if leftover.fullmatch(name):
                with contextlib.suppress(OSError), open(final.with_name(name), "rb") as file:
                    if _lock(file.fileno()):
                        os.unlink(file.name)


def _lock(descriptor: int) -> bool:
    """Lock a file; false if another process has the lock, or the file system has no locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _settle(temporary: Path, final: Path) -> None:
    """Write the finished file to the disk, then rename it, with the permissions of the older file."""
    descriptor = os.open(temporary, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if final.exists():
        os.chmod(temporary, final.stat().st_mode & 0o777)
    os.replace(temporary, final)
    # The rename itself is durable only once the folder is; some file systems do not offer this, which is not an error.
    with contextlib.suppress(OSError):
        folder = os.open(final.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
