"""Which features of objects are computed, and how: light to import, for forms and flags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from napari_apprentice.core.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["DEFAULT_GROUPS", "GROUPS", "FeatureConfig", "FeatureSettings"]


class FeatureSettings(BaseModel):
    """How objects are found and measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    components: bool = Field(
        False,
        title="Connected components",
        description="The labels are classes: each connected piece of a class is an object",
    )
    neighbour_radius: float | None = Field(
        None,
        gt=0,
        title="Neighbour radius",
        description="Centroids within this distance are counted, in the unit of the image; none: three median diameters",
    )
    gray_levels: int = Field(
        32,
        ge=2,
        le=255,
        title="Gray levels",
        description="Levels that intensities are sorted into for texture",
    )


class FeatureConfig(FeatureSettings):
    """Which features are computed of each object, and how."""

    size: bool = Field(True, title="Size", description="Area or volume")
    shape: bool = Field(
        True, title="Shape", description="Diameter, axes, roundness, solidity, outline or surface"
    )
    intensity: bool = Field(
        True, title="Intensity", description="Mean, median, spread, extremes of each channel"
    )
    texture: bool = Field(
        False, title="Texture", description="Haralick's measures of each channel (GLCM)"
    )
    color: bool = Field(
        True, title="Colour", description="Hue, saturation and value, of colour pictures"
    )
    neighbours: bool = Field(
        True, title="Neighbours", description="Nearest object, and how many are near"
    )

    @classmethod
    def of_groups(
        cls, groups: Iterable[str], settings: FeatureSettings | None = None
    ) -> FeatureConfig:
        """Compute these groups only.

        Raises
        ------
        BadInputError
            There is no such group, or none is given.
        """
        wanted = {group.strip().lower() for group in groups} - {""}
        unknown = sorted(wanted - {*GROUPS, "all"})
        if unknown or not wanted:
            found = ", ".join(unknown) or "none"
            raise BadInputError(
                f"expected groups of features, found {found}",
                remedy=f"Known: {', '.join(GROUPS)}, all.",
            )
        chosen = {name: name in wanted or "all" in wanted for name in GROUPS}
        return cls(**chosen, **(settings or FeatureSettings()).model_dump())


GROUPS = tuple(n for n in FeatureConfig.model_fields if n not in FeatureSettings.model_fields)
"""Names of the groups of features."""

DEFAULT_GROUPS = tuple(n for n in GROUPS if FeatureConfig.model_fields[n].default)
"""Those that are computed where nothing else is said."""
