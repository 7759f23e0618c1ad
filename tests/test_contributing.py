"""The recipe of CONTRIBUTING.md is true: one new file is a new entry."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from napari_apprentice.core.registry import Registry


@pytest.fixture
def recipe(repository: Path) -> str:
    """The code of the network in CONTRIBUTING.md."""
    text = (repository / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    return str(code)


def test_the_network_of_the_recipe_is_found_built_and_runs(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from napari_apprentice.models.networks import NETWORKS as KNOWN
    from napari_apprentice.models.networks import Network

    (tmp_path / "plainnet.py").write_text(recipe, encoding="utf-8")
    package = importlib.import_module(KNOWN.package)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    # What there is, is looked up once: this is the registry of the next start.
    networks: Registry[Network] = Registry(KNOWN.kind, KNOWN.package, KNOWN.attribute)
    assert "plainnet" in networks
    network = networks["plainnet"]
    for ndim in (2, 3):
        size = [2 * d for d in network.divisor(ndim=ndim, args={})]
        module = network.build(ndim=ndim, in_channels=1, out_channels=2, args={"width": 4})
        answer = module.eval()(torch.zeros(1, 1, *size))
        assert tuple(answer.shape) == (1, 2, *size)
