"""StarDist learns from nothing and numbers nuclei; run by peers.py under the Python it is installed in.

As its example of training in 2-D does: 32 rays, a grid of 2 × 2, patches of 256 × 256 by four, turned, mirrored and varied in
intensity; a seventh of the training images chooses the weights and both thresholds. Colour images go in with three channels,
grey ones with the same three times; without colour images there is one channel. Compiling, validation
between epochs and choosing thresholds are not counted as training. An epoch is 25 steps, so that even a few minutes have some.
"""

from __future__ import annotations

import os
import tempfile
import time
from typing import Any

import numpy as np
from _peer import answer, arguments, images_of, one_thread

_STEPS = 25
_HELD_OUT = 0.15


def prepared(image: Any, channels: int) -> Any:
    """Each channel between its percentiles 1 and 99.8."""
    from csbdeep.utils import normalize

    if channels == 3 and image.ndim == 2:
        image = np.stack([image] * 3, axis=-1)
    return normalize(image, 1, 99.8, axis=(0, 1))


def varied(image: Any, labels: Any) -> tuple[Any, Any]:
    """The augmentation its example recommends: quarter turns, mirror images, gain, offset and noise."""
    random = np.random
    turns, mirrored = random.randint(4), random.rand() < 0.5
    image, labels = np.rot90(image, turns), np.rot90(labels, turns)
    if mirrored:
        image, labels = image[::-1], labels[::-1]
    image = image * random.uniform(0.6, 2) + random.uniform(-0.2, 0.2)
    return image + 0.02 * random.rand() * random.normal(0, 1, image.shape), labels


def until(minutes: float, clock: str) -> Any:
    """A watch that ends the training when its steps, and nothing between them, have taken so long."""
    import keras

    class Until(keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.wall = self.cpu = 0.0
            self.steps = 0
            self._last: tuple[float, float] | None = None

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if self.steps:  # the first step compiles
                self._last = (time.perf_counter(), time.process_time())

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            now = (time.perf_counter(), time.process_time())
            if self._last is not None:
                self.wall += now[0] - self._last[0]
                self.cpu += now[1] - self._last[1]
            self._last = now
            self.steps += 1
            if (self.wall if clock == "wall" else self.cpu) >= 60 * minutes:
                self.model.stop_training = True

    return Until()


def learned(given: Any, channels: int) -> tuple[Any, dict[str, float]]:
    """A model that has learned for the minutes, with its thresholds, and what it took."""
    from stardist import fill_label_holes
    from stardist.models import Config2D, StarDist2D

    images, labels = (images_of(given.folder / "train" / name) for name in ("images", "labels"))
    pairs = [(prepared(images[name], channels), fill_label_holes(labels[name])) for name in images]
    order = np.random.default_rng(42).permutation(len(pairs))
    count = max(1, round(_HELD_OUT * len(pairs)))
    held, rest = ([pairs[i] for i in part] for part in (order[:count], order[count:]))
    config = Config2D(n_rays=32, grid=(2, 2), n_channel_in=channels, train_tensorboard=False)
    with tempfile.TemporaryDirectory() as place:
        model = StarDist2D(config, name="nuclei", basedir=place)
        model.prepare_for_training()
        watch = until(given.minutes, given.clock)
        model.callbacks.append(watch)
        sides = [list(side) for side in zip(*rest, strict=True)]
        seen = [list(side) for side in zip(*held, strict=True)]
        model.train(
            *sides,
            validation_data=tuple(seen),
            augmenter=varied,
            epochs=1000,
            steps_per_epoch=_STEPS,
            seed=42,
            workers=1,
        )
        model.optimize_thresholds(*seen)
    weights = model.keras_model.count_params()
    took = {"minutes": watch.wall / 60, "CPU minutes": watch.cpu / 60}
    return model, {"weights": weights, "steps": watch.steps, **took}


def main() -> None:
    """Learn, and answer."""
    given = arguments(__doc__)
    one_thread(given.threads)
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(given.threads)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    tf.config.threading.set_inter_op_parallelism_threads(given.threads)
    some = images_of(given.folder / "train" / "images").values()
    channels = max(3 if image.ndim == 3 else 1 for image in some)
    model, facts = learned(given, channels)

    def find(_name: str, image: Any) -> Any:
        return model.predict_instances(prepared(image, channels))[0]

    answer(given.folder, given.side, find, facts)


if __name__ == "__main__":
    main()
