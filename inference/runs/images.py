"""Pictures as files and in a page; one that cannot be drawn is left out, and said to be."""

import base64
import html
import io
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import sentence
from .. import files
from ..judging.pictures.style import Picture


class Image(NamedTuple):
    """A picture and its PNG, or why there is none."""

    picture: Picture
    png: bytes
    why: str = ""


def write(folder: Path, pictures: Iterable[Picture]) -> list[Image]:
    """Draw these pictures and write their PNGs into a folder; those with nothing to show are left out.

    A picture that cannot be drawn is a warning, and the others go on.  Raises OSError if a file cannot be written.
    """
    images = []
    for picture in pictures:
        try:
            with np.errstate(all="ignore"):  # of what is infinite or missing in a fit, the table tells
                image = Image(picture, png(picture))
        except Exception as error:  # whatever it is, the table and the other pictures are not lost with it
            image = Image(picture, b"", f"the picture {picture.title!r} could not be drawn: {sentence(error)}")
            warnings.warn(image.why, stacklevel=2)
        if image.png:
            files.write(folder / f"{files.file_name(picture.name)}.png", image.png)
        if image.png or image.why:
            images.append(image)
    return images


def png(picture: Picture) -> bytes:
    """A picture as a PNG; empty if it has nothing to show."""
    figure, buffer = picture.draw(), io.BytesIO()
    if figure is not None:
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def figure(image: Image) -> str:
    """HTML of a picture with its title and caption, the image inside; or the sentence that says why it is not there."""
    title, caption = html.escape(image.picture.title), html.escape(image.picture.caption)
    if not image.png:
        return f'<p class="verdict yellow">{html.escape(image.why)}</p>'
    source = f"data:image/png;base64,{base64.b64encode(image.png).decode()}"
    return f'<figure><h2>{title}</h2><img src="{source}" alt="{title}"><figcaption>{caption}</figcaption></figure>'
