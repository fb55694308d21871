"""The facts of one data set, importable without NumPy."""

from collections.abc import Mapping
from dataclasses import dataclass, field

CC_BY = "CC BY 4.0 (UCI Machine Learning Repository)"


@dataclass(frozen=True)
class Entry:
    """The facts of one data set."""

    title: str
    task: str  # "regression", "binary" or "categorical"
    rows: int
    features: Mapping[str, str]  # name -> unit; "" where there is none
    target: str
    unit: str  # of the target; "" where there is none
    source: str  # who to cite
    licence: str
    splits: int = 20  # how many train/test splits are numbered: 0 .. splits - 1
    train: int = 0  # training rows of its own split, which come first; 0: it has none
    origin: str = "uci"  # how it is read: a reader of `sources`
    pixels: int = 0  # the largest value of a pixel; 0: the features are not pixels
    folder: str = ""  # where its files lie below a data folder
    url: str = ""  # the public folder of its files
    files: Mapping[str, str] = field(default_factory=dict)  # file name -> sha256; "" where none is published
    note: str = ""  # what a user of it should know

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, features), training and test rows together."""
        return self.rows, len(self.features)


def dimensionless(*names: str) -> dict[str, str]:
    """Features without a unit."""
    return dict.fromkeys(names, "")


def pixels(side: int, colours: tuple[str, ...] = ()) -> dict[str, str]:
    """Row by row; of an image in colour, the channel last."""
    places = [f"pixel_{row}_{column}" for row in range(side) for column in range(side)]
    return dimensionless(*(f"{place}_{colour}" for place in places for colour in colours) if colours else places)
