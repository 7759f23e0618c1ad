"""A start that did not know a class is no candidate for the result."""

from __future__ import annotations

from types import SimpleNamespace

from tests._small import make_spec

from napari_apprentice.core.spec import ClassSpec
from napari_apprentice.engine.adapt import gains_classes


def spec_of(*names):
    classes = tuple(ClassSpec(value=n, name=name) for n, name in enumerate(names, start=1))
    return make_spec("m", classes=classes)


def test_new_classes_are_told_by_name():
    start = SimpleNamespace(spec=spec_of("nucleus"))
    assert gains_classes(start, spec_of("Nucleus", "blurred"))
    assert not gains_classes(start, spec_of("Nucleus"))
    assert not gains_classes(SimpleNamespace(spec=spec_of("a", "b")), spec_of("b"))


def test_from_nothing_there_is_no_start_to_compare():
    assert not gains_classes(None, spec_of("nucleus"))
    assert not gains_classes(spec_of("nucleus"), spec_of("nucleus", "blurred"))
