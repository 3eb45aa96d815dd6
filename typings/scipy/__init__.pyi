"""What silmu uses of SciPy, which comes without types."""

from . import sparse as sparse
from . import stats as stats
