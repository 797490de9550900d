"""Does regularisation matter when telling benign from malignant tumours?

Logistic regression on the breast-cancer data that ships with scikit-learn (569 tumours, 30 measurements each), under
four treatments and 30 re-splits. scikit-learn is imported inside the steps, so that the declaration loads without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workflow_assets import Experiment, Hypothesis, Metrics, Treatment, resamples, source, step

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

TEST_FRACTION = 0.3


@dataclass(frozen=True)
class Split:
    """Rows to learn from and rows to judge by."""

    train: pd.DataFrame
    test: pd.DataFrame
    train_labels: pd.Series
    test_labels: pd.Series


class Score(Metrics):
    """How well the held-out tumours are told apart."""

    accuracy: float
    log_loss: float


@source(version="scikit-learn 1995")
def breast_cancer() -> pd.DataFrame:
    """569 tumours with 30 measurements each, and whether they are benign (Wolberg, Street and Mangasarian, 1995)."""
    from sklearn.datasets import load_breast_cancer

    frame: pd.DataFrame = load_breast_cancer(as_frame=True).frame
    return frame


@step
def split(breast_cancer: pd.DataFrame, rng: np.random.Generator, test_size: float = TEST_FRACTION) -> Split:
    """Hold out a random share of the tumours."""
    order = rng.permutation(len(breast_cancer))
    held_out = round(len(breast_cancer) * test_size)
    test, train = breast_cancer.iloc[order[:held_out]], breast_cancer.iloc[order[held_out:]]
    return Split(train.drop(columns="target"), test.drop(columns="target"), train["target"], test["target"])


@step
def scale(split: Split) -> Split:
    """Give every measurement mean 0 and variance 1, as estimated from the training rows only."""
    mean, spread = split.train.mean(), split.train.std(ddof=0)
    return Split(
        (split.train - mean) / spread, (split.test - mean) / spread, split.train_labels, split.test_labels
    )


@step
def model(scale: Split, C: float = 1.0) -> Any:
    """Fit a logistic regression; a smaller C regularises more."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=C, solver="newton-cholesky").fit(scale.train, scale.train_labels)


@step
def forest(scale: Split, seed: int, trees: int = 50) -> Any:
    """Fit a random forest."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=trees, random_state=seed).fit(scale.train, scale.train_labels)


@step
def score(model: Any, scale: Split) -> Score:
    """Judge the model by the held-out tumours."""
    from sklearn.metrics import accuracy_score, log_loss

    probabilities = model.predict_proba(scale.test)
    return Score(
        accuracy=accuracy_score(scale.test_labels, probabilities.argmax(axis=1)),
        log_loss=log_loss(scale.test_labels, probabilities),
    )


regularisation = Experiment(
    "regularisation",
    steps=[split, scale, model, score],
    treatments={
        "strong": {"model.C": 0.001},
        "weak": {"model.C": 100.0},
        "forest": Treatment(steps={"model": forest}, description="a random forest instead"),
    },
    replicates=resamples(30, test_fraction=TEST_FRACTION),
    seed=42,
    hypotheses=[
        Hypothesis(
            "strong_hurts",
            metric="score.log_loss",
            treatment="strong",
            alternative="greater",
            description="Regularising a thousand times more makes the predicted probabilities worse.",
        ),
        Hypothesis(
            "forest_is_more_accurate",
            metric="score.accuracy",
            treatment="forest",
            alternative="greater",
            margin=0.02,
            description="A random forest gains at least two points of accuracy.",
        ),
    ],
    description="Does regularisation matter when telling benign from malignant tumours?",
)
