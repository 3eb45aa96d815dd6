"""The one writer: whatever silmu leaves on a disk is there whole, or not there.

A folder is written beside its target under a `.tmp-` name, flushed, sealed by a manifest of sizes
and SHA-256 that is written last, and renamed to a name that never existed. A file is written beside
its target, at once or piece by piece, and renamed over it. A pointer file such as `LATEST` names
the newest folder; a reader that cannot trust the pointer takes the newest folder whose manifest
verifies.

    lock(run), reserve(run, n)
    new_folder(run/"step-2"), write_pointer(run, "LATEST", "step-2"), remove(run/"step-1")

No other module opens files for writing, so a fault can be planted at every operation there is:
`SILMU_FAILPOINT=<site>:<n>:<action>` strikes at the n-th operation of a site (`*` for all of SITES;
`<n>+` strikes at every one from the n-th on). Actions are `kill`, `short` (half of a write) and the
names of errors: ENOSPC, EIO, EDQUOT, EMFILE, EACCES.
"""

from __future__ import annotations

from silmu.store._disk import SITES, failpoint, observe
from silmu.store._folders import FolderWriter, move, new_folder, remove, reserve
from silmu.store._locks import LOCK, lock
from silmu.store._manifests import FORMAT, MANIFEST, FileRecord, Manifest, verify
from silmu.store._pieces import new_file
from silmu.store._pointers import read_pointer, write_file, write_pointer

__all__ = [
    "FORMAT",
    "LOCK",
    "MANIFEST",
    "SITES",
    "FileRecord",
    "FolderWriter",
    "Manifest",
    "failpoint",
    "lock",
    "move",
    "new_file",
    "new_folder",
    "observe",
    "read_pointer",
    "remove",
    "reserve",
    "verify",
    "write_file",
    "write_pointer",
]
