"""An embedded PostgreSQL: our own supervisor over the server's binaries."""

import hashlib
import os
import tempfile
from pathlib import Path

SOCKET_PATH_LIMIT = 100  # the kernel's sun_path holds 108 bytes


def socket_folder(home: Path) -> Path:
    """Return where the server's socket stands: in `home`, or in a private folder where that is too long."""
    inside = home / "postgres" / "socket"
    if len(str(inside / ".s.PGSQL.5432")) < SOCKET_PATH_LIMIT:
        return inside
    name = hashlib.sha256(str(home).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"mailops-{os.geteuid()}-{name}"
