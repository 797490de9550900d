"""scikit-learn's estimators in the format of skops, which loads without executing anything."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Sequence
from typing import Any

from workflow_assets.errors import CodecError
from workflow_assets.store.arrays import parsed
from workflow_assets.store.formats import Buffer, library
from workflow_assets.store.packs import members

_KERNELS = "CompoundKernel ConstantKernel DotProduct ExpSineSquared Exponentiation Matern Product RBF Sum WhiteKernel"
_TRUSTED = [
    *(f"sklearn.gaussian_process.kernels.{name}" for name in [*_KERNELS.split(), "RationalQuadratic"]),
    *(
        f"sklearn.feature_selection._univariate_selection.{name}"
        for name in ("chi2", "f_classif", "f_regression")
    ),
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
]
"""What skops does not know, and is nothing but numbers in Python. Trees are not among it: compiled code follows the
places of their nodes wherever they lead, and skops does not trust them for that reason either."""


class EstimatorCodec:
    """Estimators of scikit-learn and pipelines of them, where skops is installed and every type in them is trusted.

    Others, such as forests, or one that holds a function of your own, are pickled where the store allows it.
    """

    name = "skops"
    extension = "skops"

    def accepts(self, value: Any) -> bool:
        """Tell whether it is an estimator of scikit-learn's own, and skops is there."""
        base = sys.modules.get("sklearn.base")
        return (
            base is not None
            and isinstance(value, base.BaseEstimator)
            and type(value).__module__.startswith("sklearn.")
            and _is_installed()
        )

    def encode(self, value: Any) -> Sequence[Buffer] | None:
        """Give the file; None for an estimator that holds a type which skops would not load by itself."""
        import skops.io

        try:
            data = skops.io.dumps(value)
            if set(skops.io.get_untrusted_types(data=data)) - set(_TRUSTED):
                return None
        except Exception:  # noqa: BLE001  # what it does not know, it says in many ways; pickle says it better
            return None
        return (data,)

    def decode(self, data: Buffer) -> Any:
        """Give the estimator; raise `CodecError` for a file that holds a type which skops does not trust."""
        loads = library("skops.io", "a model of scikit-learn in the format of skops", "skops").loads
        for part in members(data).values():  # whatever they are called
            start = bytes(part[:6])
            if start == b"\x93NUMPY":
                parsed(part)  # which claims no more than there is
            elif start[:2] == b"PK":
                raise CodecError("the stored model holds a sparse matrix, whose indices may lead anywhere")
        return loads(bytes(data), trusted=_TRUSTED)

    def copy(self, value: Any) -> Any:  # noqa: ARG002
        """Give None: only what was read is sure to be what a later run reads."""
        return None

    def libraries(self, value: Any) -> dict[str, str]:  # noqa: ARG002
        """Give the versions that the file belongs to: another version may read it as another model."""
        return {"sklearn": sys.modules["sklearn"].__version__}


@functools.cache
def _is_installed() -> bool:
    return importlib.util.find_spec("skops") is not None
