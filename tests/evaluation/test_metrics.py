import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, precision_recall_fscore_support

from wbc.evaluation.metrics import score

# A confusion matrix of LISC with the margins that Table 3 of the paper gives: true classes 55 39 59 48 56, hits
# 17 36 54 28 56, predicted totals 18 52 79 51 57. What lies off the diagonal is one of the ways to fill them.
TABLE_3 = np.array([[17, 12, 7, 18, 1], [0, 36, 0, 3, 0], [1, 2, 54, 2, 0], [0, 2, 18, 28, 0], [0, 0, 0, 0, 56]])


def predictions_of(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pairs = [(true, said) for true in range(5) for said in range(5) for _ in range(confusion[true, said])]
    labels, predicted = np.array(pairs).T
    return labels, np.eye(5, dtype=np.float32)[predicted]


def test_score_gives_table_3_of_the_paper_from_its_counts() -> None:
    assert TABLE_3.sum(1).tolist() == [55, 39, 59, 48, 56]
    assert TABLE_3.sum(0).tolist() == [18, 52, 79, 51, 57]
    metrics = score(*predictions_of(TABLE_3))
    assert np.round(100 * np.array(metrics.precision), 2).tolist() == [94.44, 69.23, 68.35, 54.90, 98.25]
    assert np.round(100 * np.array(metrics.recall), 2).tolist() == [30.91, 92.31, 91.53, 58.33, 100.00]
    assert np.round(100 * np.array(metrics.f1), 2).tolist() == [46.58, 79.12, 78.26, 56.57, 99.12]
    assert metrics.accuracy == 191 / 257
    assert (metrics.confusion == TABLE_3).all()


def test_score_agrees_with_scikit_learn_when_every_class_occurs() -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 5, 400), rng.dirichlet(np.ones(5), 400)
    metrics, said = score(labels, scores), scores.argmax(1)
    precision, recall, f1, _ = precision_recall_fscore_support(labels, said, labels=range(5))
    assert metrics.precision == pytest.approx(tuple(precision))
    assert metrics.recall == pytest.approx(tuple(recall))
    assert metrics.f1 == pytest.approx(tuple(f1))
    assert metrics.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, said))
    assert metrics.macro_f1 == pytest.approx(f1_score(labels, said, average="macro"))


def test_score_of_a_domain_with_missing_classes_counts_predictions_of_all_five() -> None:
    labels, scores = np.array([4, 4, 2, 2]), np.eye(5)[[4, 0, 2, 4]]
    metrics = score(labels, scores)
    assert metrics.accuracy == 0.5
    assert metrics.balanced_accuracy == 0.5
    assert metrics.macro_f1 == pytest.approx((2 * 1 / (2 + 1) + 2 * 1 / (2 + 2)) / 2)
    assert np.isnan(metrics.recall[0])
    assert metrics.precision[0] == 0
