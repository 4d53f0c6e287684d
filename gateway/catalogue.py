"""The metrics that are served: one entry each, from which routes and documentation are made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One image-quality metric.

    Attributes:
        model: name of its Triton model.
        path: its route below `/api/v1/iqa`.
        title: its usual name.
        fields: upload field of each image, in the order of `inputs`.
        inputs: Triton input tensor of each image.
        minimum_side: smallest side in pixels.
        direction: whether a lower or a higher score is better.
        usual_range: where scores usually lie; they are never clamped to it.
        colour: what becomes of colour.
        summary: a sentence for the documentation.
        example: a score for the documentation.
        luma_only: the model only looks at luma, so that nothing else is sent to it.
        terms: output tensor of the numbers that the score is made of, sent with a map.
        map_summary: what the values of its map are.
        map_range: values that get the first and the last colour of the map.
    """

    model: str
    path: str
    title: str
    fields: tuple[str, ...]
    inputs: tuple[str, ...]
    minimum_side: int
    direction: str
    usual_range: tuple[float, float]
    colour: str
    summary: str
    example: float
    map_summary: str
    map_range: tuple[float, float]
    terms: str | None = None
    luma_only: bool = False

    @property
    def batch_fields(self) -> tuple[str, ...]:
        """Upload fields of the batch route: the same names in the plural."""
        return tuple(f"{field}s" for field in self.fields)


METRICS = (
    Metric(
        model="brisque",
        path="/nr/brisque",
        title="BRISQUE",
        fields=("image",),
        inputs=("IMAGE",),
        minimum_side=16,
        direction="lower is better",
        usual_range=(0, 100),
        colour="RGB is converted to luma (ITU-R BT.601), as Pillow's convert('L') does",
        summary="Naturalness of one picture, without a reference.",
        example=9.13,
        map_summary="the magnitude of each pixel's MSCN coefficient, its local contrast",
        map_range=(0, 3),
        luma_only=True,
    ),
    Metric(
        model="ms_ssim",
        path="/fr/ms-ssim",
        title="MS-SSIM",
        fields=("original_image", "distorted_image"),
        inputs=("REFERENCE", "DISTORTED"),
        minimum_side=161,
        direction="higher is better",
        usual_range=(0, 1),
        colour="per RGB channel, averaged over channels",
        summary="Similarity of a distorted picture to its original; 1 is identical.",
        example=0.8624,
        map_summary="the local SSIM of the full scale, of windows of 11x11 pixels that lie inside",
        map_range=(0, 1),
        terms="SCALES",
    ),
)
