"""What the columns of a feature table are called, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COLUMNS", "Column"]


@dataclass(frozen=True)
class Column:
    """One column.

    Parameters
    ----------
    group
        Which group of features it belongs to; empty: always there.
    name
        As in the table; ``{u}`` stands for the unit, ``{a}`` for an axis, ``{r}`` for a radius.
    meaning
        In a sentence.
    ndim
        Only for images of so many axes, where that is so.
    per_channel
        Whether there is one for each channel of an image that has several.
    """

    group: str
    name: str
    meaning: str
    ndim: int | None = None
    per_channel: bool = False


def _per_channel(group: str, columns: dict[str, str]) -> tuple[Column, ...]:
    return tuple(Column(group, n, m, per_channel=True) for n, m in columns.items())


COLUMNS = (
    Column("", "label", "number of the object in the labels"),
    Column("", "class", "name of its class, where the labels are classes"),
    Column("", "centroid {a} ({u})", "centre of its voxels in world coordinates"),
    Column("", "box start {a} (voxel)", "first row, column or slice that it has voxels in"),
    Column("", "box {a} ({u})", "length of its bounding box along an axis of the array"),
    Column("", "touches border", "whether it reaches the border of the image and may be cut off"),
    Column("size", "voxels", "how many voxels (2-D: pixels) it has"),
    Column("size", "area ({u}²)", "area of its pixels", 2),
    Column("size", "volume ({u}³)", "volume of its voxels", 3),
    Column("shape", "equivalent diameter ({u})", "diameter of the disk or ball of the same size"),
    Column("shape", "major axis ({u})", "longest axis of the ellipse of the same second moments"),
    Column("shape", "middle axis ({u})", "its middle axis", 3),
    Column("shape", "minor axis ({u})", "its shortest axis"),
    Column("shape", "elongation", "1 less minor axis / major axis: 0 is round"),
    Column(
        "shape", "eccentricity", "eccentricity of the ellipse of major and minor axis: 0 is round"
    ),
    Column("shape", "solidity", "share of its convex hull that it fills"),
    Column("shape", "perimeter ({u})", "length of its outline, holes included", 2),
    Column("shape", "circularity", "4π · area / perimeter² within the outline: 1 is a disk", 2),
    Column("shape", "surface ({u}²)", "area of its surface, cavities included", 3),
    Column(
        "shape", "sphericity", "surface of the ball of the same volume / surface: 1 is a ball", 3
    ),
    *_per_channel(
        "intensity",
        {
            "intensity mean": "mean intensity; NaN and infinite voxels are left out everywhere",
            "intensity median": "median",
            "intensity sd": "standard deviation (of the voxels, divided by n)",
            "intensity min": "lowest",
            "intensity max": "highest",
            "intensity p5": "5th percentile",
            "intensity p25": "25th percentile",
            "intensity p75": "75th percentile",
            "intensity p95": "95th percentile",
        },
    ),
    *_per_channel(
        "texture",
        {
            "texture contrast": "mean squared difference of the gray levels of neighbours",
            "texture correlation": "correlation of their gray levels; 1 where all are the same",
            "texture homogeneity": "mean of 1 / (1 + squared difference)",
            "texture energy": "√ of the sum of squared shares of all pairs",
            "texture entropy": "entropy of the pairs, in bits",
        },
    ),
    Column("color", "hue (°)", "mean hue, as an angle, weighted by saturation (colour pictures)"),
    Column("color", "saturation", "mean saturation, 0 to 1"),
    Column("color", "value", "mean value (brightness), 0 to 1"),
    Column("neighbours", "nearest neighbour ({u})", "distance to the nearest other centroid"),
    Column("neighbours", "neighbours within {r} {u}", "how many other centroids are that near"),
)
