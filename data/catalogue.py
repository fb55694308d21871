"""What each data set is: plain facts, importable without NumPy.

The UCI sets and their 20 standard splits are those of Hernandez-Lobato & Adams (ICML 2015), in the files of Gal &
Ghahramani (ICML 2016); diabetes, breast_cancer and digits come inside scikit-learn; MNIST is the four original files;
CIFAR-10 the original binary archive, or the part of it that has a file of its own; IMDB the original texts, or a file
of their words' numbers as Keras has them; year the zipped text of UCI.
"""

from .entry import CC_BY, Entry, dimensionless, pixels
from .uci import UCI

YEAR_URL = "https://archive.ics.uci.edu/ml/machine-learning-databases/00203/"
IMDB_URL = "https://ai.stanford.edu/~amaas/data/sentiment/"
IMDB_WORDS = 5000
IMDB_NUMBERS = {"imdb_sequences.npz": "5e7d6bb7d355c1c165804677898f06821f89409f75588e4c1ebed29908a37f96"}  # not public
MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
CIFAR_URL = "https://www.cs.toronto.edu/~kriz/"


def _cifar10(**facts) -> Entry:
    """Colour images of CIFAR-10 with their own split."""
    return Entry(
        task="categorical",
        features=pixels(32, ("red", "green", "blue")),
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
            **dimensionless("s1", "s2", "s3", "s4", "s5", "s6"),
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
        features=dimensionless(
            *(
                template.format(target_name)
                for template in ("mean {}", "{} error", "worst {}")
                for target_name in (
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
        features=pixels(8),
        target="digit",
        unit="",
        source="Alpaydin & Kaynak, Optical recognition of handwritten digits, UCI (1998)",
        licence=CC_BY,
        origin="scikit-learn",
        pixels=16,
    ),
    **UCI,
    "mnist": Entry(
        title="MNIST handwritten digits, 28 x 28 pixels",
        task="categorical",
        rows=70_000,
        features=pixels(28),
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
        features=dimensionless(
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
        features=dimensionless(*(f"word_{i}" for i in range(1, IMDB_WORDS + 1))),
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
