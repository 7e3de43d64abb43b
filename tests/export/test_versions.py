"""The versions that a result records."""

import PIL

from distill_tune.export.versions import versions


def test_what_decodes_pictures_is_recorded() -> None:
    assert versions()["pillow"] == PIL.__version__
