"""Which ways to explain suit a model, in words."""

from __future__ import annotations

from tests._small import make_spec

from napari_apprentice.session.explaining import problem_of


def test_a_way_that_does_not_suit_a_model_says_what_to_do() -> None:
    numbering = make_spec("nuclei", 2, task="instance")
    problem = problem_of("gradcam", numbering) or ""
    assert problem.startswith("Evidence (Grad-CAM) does not suit nuclei: it explains classes")
    assert problem.endswith("Choose another model.")
    assert problem_of("gradcam", make_spec("brain", 2)) is None
