import numpy as np

from wbc.evaluation.confusion import draw_confusion
from wbc.evaluation.metrics import score


def test_confusion_figure_shows_every_count_and_a_title_that_fits() -> None:
    labels = np.array([0, 0, 1, 2, 3, 4, 4])
    figure = draw_confusion(
        score(labels, np.eye(5)[[0, 1, 1, 2, 3, 4, 0]]), "resnet50_frozenbn_last16/seed0 on raabin_test_b"
    )
    figure.canvas.draw()
    (axes,) = figure.axes
    counts = [int(text.get_text()) for text in axes.texts]
    assert counts == [1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1]
    title = figure.texts[0].get_window_extent()
    assert title.x0 >= 0
    assert title.x1 <= figure.bbox.width
