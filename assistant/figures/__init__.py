"""Pictures for people: images and maps, stretches of series, strips of clips. Knows arrays; not findings or stores."""

from assistant.figures.pictures import (
    RAMP_CSS,
    RAMP_ENDS,
    Box,
    boxes_of,
    colour_ramp,
    heat_layer,
    heat_thumbnail,
    legible,
    load_picture,
    outlines,
    overlay,
    pair,
    png,
    sparkline,
    spread_svg,
    thumbnail,
)

__all__ = [
    "RAMP_CSS",
    "RAMP_ENDS",
    "Box",
    "boxes_of",
    "colour_ramp",
    "heat_layer",
    "heat_thumbnail",
    "legible",
    "load_picture",
    "outlines",
    "overlay",
    "pair",
    "png",
    "sparkline",
    "spread_svg",
    "thumbnail",
]
