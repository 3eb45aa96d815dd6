from pathlib import Path
from silmu.runtime.folder import Folder
def open_model(model, *, revision=None, token=None, cache_dir=None, local_files_only=False):
    return Folder(Path(model), str(model))
