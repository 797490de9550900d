"""Models of scikit-learn in the format of skops."""

import io
import pickle
import zipfile

import numpy as np
import pytest
import scipy.sparse
import sklearn
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from workflow_assets.errors import CodecError
from workflow_assets.store import estimators
from workflow_assets.store.codecs import decode, encode, independent_copy

X = np.random.default_rng(0).normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(int)
MODELS = {
    "unfitted": LogisticRegression(C=0.3),
    "regression": LogisticRegression().fit(X, Y),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y),
    "selection": make_pipeline(SelectKBest(f_classif, k=2), LogisticRegression()).fit(X, Y),
}


def own(x):
    return x


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("wrap", [lambda model: model, lambda model: [model]], ids=["whole", "member"])
def test_a_model_comes_back_without_a_pickle(model, wrap):
    """With its parameters, predicting the same; and with the version of its library."""
    encoded = encode(wrap(model), pickles=False)
    assert encoded.libraries == {"sklearn": sklearn.__version__}
    for value in (
        decode(encoded.codec, encoded.bytes(), pickles=False),
        independent_copy(encoded, pickles=False),
    ):
        again = value[0] if isinstance(value, list) else value
        assert type(again) is type(model)
        assert repr(again) == repr(model)
        if model is not MODELS["unfitted"]:
            assert (again.predict_proba(X) == model.predict_proba(X)).all()


@pytest.mark.parametrize(
    "model", [FunctionTransformer(own), RandomForestClassifier(2).fit(X, Y)], ids=["a function", "trees"]
)
def test_a_model_that_is_not_safe_to_load_is_left_to_pickle(model):
    """It names code, or compiled code follows what it says; the store's policy decides."""
    assert encode(model, pickles=True).codec == "pickle"
    with pytest.raises(CodecError, match="which only pickle could store"):
        encode(model, pickles=False)


def test_without_skops_a_model_is_pickled(monkeypatch):
    """By the store's policy; what was stored as skops says what to install."""
    data = encode(MODELS["regression"], pickles=False).bytes()
    monkeypatch.setattr(estimators, "_is_installed", lambda: False)
    assert encode(MODELS["regression"], pickles=True).codec == "pickle"
    monkeypatch.setitem(__import__("sys").modules, "skops.io", None)
    with pytest.raises(CodecError, match="skops is not installed here: pip install skops"):
        decode("skops", data, pickles=True)


def test_nothing_untrusted_is_loaded(tmp_path):
    """Neither a type that skops does not know, nor a pickle, nor an array that claims 10 GB."""
    import skops.io

    with pytest.raises(CodecError, match="Untrusted"):
        decode("skops", skops.io.dumps(FunctionTransformer(own)), pickles=True)
    with pytest.raises(CodecError):
        decode("skops", pickle.dumps(MODELS["regression"]), pickles=True)
    good = encode(MODELS["regression"], pickles=False).bytes()
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith(".npy"):
                data = data.replace(b"), }          ", b"0000000000), }", 1).replace(b",0000", b"0000", 1)
            new.writestr(name, data)
    with pytest.raises(CodecError):
        decode("skops", file.getvalue(), pickles=True)
    for at in range(0, len(good), max(1, len(good) // 40)):
        with pytest.raises(CodecError):
            decode("skops", good[:at], pickles=True)


@pytest.mark.parametrize("kind", [scipy.sparse.csr_matrix, scipy.sparse.csr_array])
def test_a_model_of_a_sparse_matrix_is_left_to_pickle(kind):
    """Compiled code follows its indices, wherever they lead; neither is a crafted one loaded."""
    import skops.io

    model = SVC().fit(kind(X), Y)
    assert encode(model, pickles=True).codec == "pickle"
    with pytest.raises(CodecError, match="holds a sparse matrix, whose indices may lead anywhere"):
        decode("skops", skops.io.dumps(model), pickles=True)
