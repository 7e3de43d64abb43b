"""An image classifier of Hugging Face's transformers as a network that returns logits.

https://github.com/huggingface/transformers

Samples arrive with the data's size and channels and are converted here, after the normalisation, to what the model
reads: a resize is a weighted mean of pixels with weights that sum to 1, so it commutes with normalisation.
"""

from __future__ import annotations

from torch import Tensor, nn

from distill_tune.errors import TeacherError

_LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in a grey pixel: ITU-R BT.601, as in Pillow's mode "L"."""


class ImageClassifier(nn.Module):
    """Normalised images [batch, channels, height, width] to raw logits [batch, classes]."""

    def __init__(
        self,
        model: nn.Module,
        channels: int,
        size: tuple[int, int] | None = None,
        mode: str = "bilinear",
        is_flipped: bool = False,
    ):
        """Wrap a model, whose weights keep their names after the prefix `model.`.

        Args:
            model: A model of transformers, such as `ViTForImageClassification`.
            channels: Channels of the images that it reads.
            size: Height and width of these images; None if it reads any, and images are not resized.
            mode: How images are resized, `bilinear` or `bicubic`.
            is_flipped: Whether it reads channels in the opposite order: blue, green, red.
        """
        super().__init__()
        self.model = model
        self.channels, self.size, self.mode, self.is_flipped = channels, size, mode, is_flipped

    @property
    def reads(self) -> tuple[int, ...]:
        """The shape of the images that the model sees, whatever the input; () if they are not resized."""
        return () if self.size is None else (self.channels, *self.size)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        images = self._with_channels(images)
        if self.size is not None and tuple(images.shape[2:]) != self.size:
            images = nn.functional.interpolate(images, self.size, mode=self.mode, antialias=True)
        if self.is_flipped:
            images = images.flip(1)
        logits: Tensor = self.model(pixel_values=images, return_dict=True).logits
        return logits

    def _with_channels(self, images: Tensor) -> Tensor:
        given = images.shape[1]
        if given == self.channels:
            return images
        if given == 1:
            return images.expand(-1, self.channels, -1, -1)
        weights = images.new_tensor(_LUMA).view(1, 3, 1, 1)
        return (images * weights).sum(1, keepdim=True)


def check_channels(given: int, wanted: int) -> None:
    """Refuse images that cannot be converted to those that a model reads.

    Raises:
        TeacherError: the channels differ, and it is neither grey to several nor colour to grey.
    """
    if given not in (wanted, 1) and (given, wanted) != (3, 1):
        raise TeacherError(
            f"teacher.path: the model reads images of {wanted} channel{'s' * (wanted > 1)}, but the data have {given}, "
            "and only grey ones are copied to several channels and coloured ones (3) turned grey; wrap the model in a "
            'function of yours, for teacher.source = "torch".'
        )
