"""Which ways to explain suit a model, in words, and what they cost."""

from __future__ import annotations

from tests._small import make_spec, make_volume

from napari_apprentice.explain import ExplainConfig
from napari_apprentice.session.explaining import describe_cost, problem_of


def test_a_way_that_does_not_suit_a_model_says_what_to_do() -> None:
    cleaning = make_spec("clean", 2, task="restoration")
    problem = problem_of("gradcam", cleaning) or ""
    assert problem.startswith("Evidence (Grad-CAM) does not suit clean: it explains classes")
    assert problem.endswith("Choose another model.")
    assert problem_of("gradcam", make_spec("brain", 2)) is None
    assert problem_of("gradcam", make_spec("nuclei", 2, task="instance")) is None


def test_a_cost_that_depends_on_the_size_of_objects_says_so() -> None:
    numbering = make_spec("nuclei", 2, task="instance", task_args={"diameter": 20.0})
    volume, config = make_volume((200, 200)), ExplainConfig(device="cpu")
    assert " s or more · up to about" in describe_cost("gradcam", volume, None, numbering, config)
    known = config.model_copy(update={"diameter": 1.0})
    assert "or more" not in describe_cost("gradcam", volume, None, numbering, known)
