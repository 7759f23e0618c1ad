"""Cellpose 3 learns from nothing and numbers nuclei; run by peers.py under the Python it is installed in.

Its defaults, but for the diameter that images are brought to (17 pixels, that of its own model of nuclei) and for how the
training is counted: an epoch is one batch, so that its schedule of the rate (warm-up, constant, from 100 batches on
halved ten times) fits the minutes. How many batches they are is measured before on another network. Channels [0, 0]: colour is averaged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from _peer import Clock, answer, arguments, diameters_of, images_of, one_thread

_DIAMETER = 17.0
_BATCH = 8
_GREY = [0, 0]
_TRIED = 4
"""Batches by which a batch is timed."""

Pairs = tuple[list[Any], list[Any]]


def learning(
    pairs: Pairs, batches: int, folder: Path, **more: Any
) -> tuple[Path, dict[str, float]]:
    """Learn from so many batches: where the model lies and what it took."""
    from cellpose import models, train

    model = models.CellposeModel(gpu=False, pretrained_model=False, diam_mean=_DIAMETER)
    clock = Clock()
    path, *_ = train.train_seg(
        model.net,
        train_data=pairs[0],
        train_labels=pairs[1],
        channels=_GREY,
        batch_size=_BATCH,
        nimg_per_epoch=_BATCH,
        n_epochs=batches,
        save_path=folder,
        **more,
    )
    weights = sum(value.numel() for value in model.net.parameters())
    return Path(path), {"weights": weights, "steps": batches, **clock.facts()}


def batches_in(given: Any, pairs: Pairs, folder: Path, **more: Any) -> int:
    """How many batches fit, after what one takes; the preparation of the images is taken off."""
    counted = "minutes" if given.clock == "wall" else "CPU minutes"
    few = learning(pairs, 1, folder, **more)[1][counted]
    several = learning(pairs, 1 + _TRIED, folder, **more)[1][counted]
    one = (several - few) / _TRIED
    return max(2, int((given.minutes - few) / one))


def flows_of(folder: Path) -> Pairs:
    """Images to learn from and their flows, computed once and not counted as training."""
    import torch
    from cellpose import dynamics

    images, labels = (images_of(folder / "train" / name) for name in ("images", "labels"))
    told = [labels[name] for name in images]
    flows = dynamics.labels_to_flows(told, device=torch.device("cpu"))
    return list(images.values()), flows


def main() -> None:
    """Learn, and answer with the true diameter and with the mean one of the training images."""
    given = arguments(__doc__)
    one_thread(given.threads)
    import torch
    from cellpose import models

    torch.set_num_threads(given.threads)
    more = {"SGD": True, "learning_rate": 0.1, "weight_decay": 1e-4} if "SGD" in given.side else {}
    pairs = flows_of(given.folder)
    place = given.folder / "models"
    place.mkdir(exist_ok=True)
    batches = batches_in(given, pairs, place, **more)
    path, facts = learning(pairs, batches, place, **more)
    model = models.CellposeModel(gpu=False, pretrained_model=str(path))
    true = diameters_of(given.folder)

    def sized(name: str, image: Any) -> Any:
        return model.eval(image, channels=_GREY, diameter=true[name])[0]

    def plain(_name: str, image: Any) -> Any:
        return model.eval(image, channels=_GREY, diameter=None)[0]

    answer(given.folder, f"{given.side}, true diameter", sized, facts)
    answer(given.folder, f"{given.side}, mean diameter", plain, facts)


if __name__ == "__main__":
    main()
