"""Tables that are easily misread, by kind: what is surely wrong is refused, what is likely so is said."""

import gzip

import numpy as np
import pandas as pd
import pytest
from noisezoo import data

ROWS = 60
RANDOM = np.random.default_rng(0)
A, B = RANDOM.normal(size=(2, ROWS)).round(3)
COUNTS = [*range(1000, 1000 + 7 * ROWS, 7)]
DAYS = pd.Series(pd.date_range("2021-01-01", periods=ROWS))


def csv(*columns, header="a,b,y", sep=",", end=""):
    """The text of a CSV file with these columns."""
    return "\n".join([header, *(sep.join(map(str, row)) + end for row in zip(*columns, strict=True))]) + "\n"


def quoted(values):
    return [f'"{value}"' for value in values]


def repeated(values):
    """A column of these values, over and over."""
    return [values[i % len(values)] for i in range(ROWS)]


def frame(**columns):
    return pd.DataFrame({"a": A, "y": B} | columns)


TEXT = csv(A, B, B)
# text of a file -> the target, the sentence; the name of the file is t.csv
FILES = {
    "the target twice": (csv(A, B, B, header="x,y,y"), "column 'y' occurs twice: rename or remove one"),
    "a feature twice": (csv(A, A, B, header="x,x,y"), "column 'x' occurs twice"),
    "twice but for a blank": (csv(A, B, B, header="x,y, y"), "column 'y' occurs twice"),
    "twice in quotes": (csv(A, B, B, header='x,"y",y'), "column 'y' occurs twice"),
    "thrice": (csv(A, B, B, B, header="x,y,y,y"), "column 'y' occurs twice"),
    "rows longer than the header": (csv(A, B, B, A), "line 2 of .*t.csv has 4 cells, more than the 3 before it: name"),
    "rows much longer": (csv(A, B, B, A, A), "line 2 of .*t.csv has 5 cells, more than the 3"),
    "an index without a name": (csv(range(ROWS), A, B, header="a,y"), "line 2 of .*t.csv has 3 cells, more than the 2"),
    "a comma at the end": (csv(A, B, B, end=","), "line 2 of .*t.csv has 4 cells"),
    "one longer row": (TEXT + "1,2,3,4\n", "line 62 of .*t.csv has 4 cells, more than the 3"),
    "a title above the header": ("Prices\n" + TEXT, "line 2 of .*t.csv has 3 cells, more than the 1"),
    "decimal commas without quotes": ("a,y\n" + "3,14,2,5\n" * 20, "line 2 of .*t.csv has 4 cells"),
    "rows shorter than the header": (TEXT + "1,2\n", "column 'y' is missing \\(NaN\\) in 1 of 61 rows: .*--drop y"),
    "a column without a name": (csv(A, B, B, header="a,,y"), "column 'Unnamed: 1' has no name"),
    "the index of pandas": (csv(range(ROWS), A, B, header=",a,y"), "'Unnamed: 0' has no name.*--drop 'Unnamed: 0'"),
    "two of them": (csv(range(ROWS), range(ROWS), A, B, header=",,a,y"), "column 'Unnamed: 0' has no name"),
    "no header": (csv(B, B, header="0.5,1.25"), "the first line of .*t.csv holds numbers, not names: put a header"),
    "semicolons": (
        csv(A, B, B, header="a;b;y", sep=";"),
        "separated by semicolons, not by commas: say sep=';' \\(--sep",
    ),
    "semicolons and decimal commas": ("a;y\n" + "3,14;2,5\n" * 20, "semicolons.*decimal=',' \\(--decimal ','\\)"),
    "semicolons and a comma in a name": ("a, in m;b;y\n" + "3,1;2;1\n" * 20, "separated by semicolons, not by commas"),
    "tabs": (csv(A, B, B, header="a\tb\ty", sep="\t"), r"separated by tabs.*say sep='\\t' \(--sep '\\t'\)"),
    "bars": (csv(A, B, header="a|y", sep="|"), "separated by bars"),
    "blanks": (csv(A, B, header="a y", sep=" "), "separated by blanks, not by commas: say sep=' '"),
    "empty": ("", "t.csv is empty: it needs a header line and rows"),
    "blank lines only": ("\n\n", "t.csv is empty"),
    "a header only": ("a,y\n", "the table is empty"),
    "an open quote": ('a,y\n"1,2\n', r"not a readable csv table \(ParserError\)"),
    "thousands": (
        csv(quoted(f"{n:,}" for n in COUNTS), B, header="a,y"),
        "written as text, such as '1,000': write 1000.",
    ),
    "decimal commas": (csv(quoted(str(a).replace(".", ",") for a in A), B, header="a,y"), "or say decimal=','"),
    "decimal commas that look like thousands": (
        csv(repeated(quoted(["1,234", "0,126"])), B, header="a,y"),
        "such as '0,126': write 0.126, or say decimal=','",
    ),
    "a target of thousands": (csv(A, quoted(f"{n:,}" for n in COUNTS), header="a,y"), "column 'y' has numbers written"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_surely_wrong_is_refused(kind, tmp_path):
    text, sentence = FILES[kind]
    (tmp_path / "t.csv").write_text(text)
    refused(sentence, lambda: data.load(f"{tmp_path / 't.csv'}:y"))


def refused(sentence, act, error=ValueError):
    with pytest.raises(error, match=sentence) as caught:
        act()
    assert "\n" not in str(caught.value)


FRAMES = {
    "12.5%": ([f"{n / 2}%" for n in range(ROWS)], "such as '0.0%': write 0.0."),
    "12.5 %": ([f"{n / 2} %" for n in range(ROWS)], "such as '0.0 %': write 0.0."),
    "few percentages": (repeated(["10%", "20%", "50%"]), "such as '10%': write 10."),
    "3,14": (repeated(["3,14", "2,5"]), "such as '3,14': write 3.14, or say decimal=',' \\(--decimal ','\\)"),
    "-3,14": (repeated(["-3,14", "2"]), "such as '-3,14': write -3.14, or say"),
    "$38.37": ([f"${n}.37" for n in range(ROWS)], "such as '\\$0.37': write 0.37."),
    "-$38.37": ([f"-${n}.37" for n in range(ROWS)], "such as '-\\$0.37': write -0.37."),
    "38 €": ([f"{n} €" for n in range(ROWS)], "such as '0 €': write 0."),
    "1 234": ([f"{n:,}".replace(",", " ") for n in COUNTS], "such as '1 000': write 1000."),
    "1\u202f234": ([f"{n:,}".replace(",", "\u202f") for n in COUNTS], "write 1000."),
    "1'234": ([f"{n:,}".replace(",", "'") for n in COUNTS], "write 1000."),
    "1.234,5": ([f"1.{n},5" for n in range(100, 100 + ROWS)], "such as '1.100,5': write 1100.5, or say decimal"),
    "1,234.5": ([f"1,{n}.5" for n in range(100, 100 + ROWS)], "such as '1,100.5': write 1100.5."),
    "1.234.567": ([f"1.{n}.567" for n in range(100, 100 + ROWS)], "such as '1.100.567': write 1100567."),
    "(1,234)": ([f"({n:,})" for n in COUNTS], "such as '\\(1,000\\)': write -1000."),
    "thousands here and there": ([f"{n:,}" for n in range(970, 970 + ROWS)], "such as '1,000': write 1000."),
    "12 kg": ([f"{n} kg" for n in range(ROWS)], "such as '0 kg': write 0."),
    "5 km²": ([f"{n / 2}km²" for n in range(ROWS)], "such as '0.0km²': write 0.0."),
    "thousands and a stray": (["-", *(f"{n:,}" for n in COUNTS[1:])], "has text \\('-'\\) among its numbers"),
    "? among numbers": (["?", *map(str, COUNTS[1:])], "has text \\('\\?'\\) among its numbers: replace it"),
    "numbers as text": ([str(n) for n in COUNTS], "holds numbers as text, such as '1000': convert it by pd.to_numeric"),
    "2021-01-31": (DAYS.astype(str), "holds dates as text, such as '2021-01-01': put .*drop=\\['x'\\], --drop x"),
    "2021-01-31 12:00": (DAYS.astype(str) + " 12:00:00", "holds dates as text, such as '2021-01-01 12:00:00'"),
    "2021-01-31T12:00Z": (DAYS.astype(str) + "T12:00Z", "holds dates as text"),
    "31.01.2021": (DAYS.dt.strftime("%d.%m.%Y"), "holds dates as text, such as '01.01.2021'"),
    "01/31/21": (DAYS.dt.strftime("%m/%d/%y"), "holds dates as text, such as '01/01/21'"),
    "31 Jan 2021": (DAYS.dt.strftime("%d %b %Y"), "holds dates as text, such as '01 Jan 2021'"),
    "January 31, 2021": (DAYS.dt.strftime("%B %d, %Y"), "holds dates as text, such as 'January 01, 2021'"),
    "few dates": (repeated(["2021-01-01", "2021-01-02"]), "holds dates as text"),
    "dates as categories": (pd.Categorical(DAYS.astype(str)), "holds dates as text"),
    "12:30": ([f"{n % 24}:30" for n in range(ROWS)], "holds dates as text, such as '0:30'"),
    "names": ([f"name {chr(65 + n)}" for n in range(ROWS)], "text of 60 different values in 60 rows.*--drop x"),
    "codes": ([f"A{n}-{n * 7}" for n in range(ROWS)], "column 'x' is text of 60 different values in 60 rows"),
    "mostly their own": (["u"] * 20 + [f"v{n}" for n in range(40)], "text of 41 different values in 60 rows"),
    "names as categories": (pd.Categorical([f"n{n}x" for n in range(ROWS)]), "text of 60 different values in 60 rows"),
    "missing text": (["u", None] * 30, "column 'x' is missing \\(NaN\\) in 30 of 60 rows: .*drop=\\['x'\\]"),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_a_column_that_is_surely_wrong_is_refused(kind):
    values, sentence = FRAMES[kind]
    refused(sentence, lambda: data.from_frame(frame(x=values), "y"))


TABLES = {
    "a dummy is a column": (frame(colour=repeated(["red", "blue"]), colour_red=A), "'red' of column 'colour' would be"),
    "a dummy is a dummy": (
        frame(a_b=repeated(["c", "d"]), a=repeated(["b_c", "e"])),
        "the value 'b_c' of column 'a' would be a second column 'a_b_c': rename one",
    ),
    "a dummy of a category": (
        frame(kind=pd.Categorical(repeated(["u", "v"])), kind_v=A),
        "the value 'v' of column 'kind' would be a second column 'kind_v'",
    ),
    "names that differ by a blank": (frame(**{"y ": B}), "column 'y' occurs twice"),
    "a number and its text": (pd.DataFrame({0: A, "0": A, "y": B}), "column '0' occurs twice"),
    "a header of two lines": (
        pd.concat({"t": frame()}, axis=1),
        "a header of several lines: give each column one name",
    ),
    "the index of pandas": (frame(**{"Unnamed: 0": A}), "column 'Unnamed: 0' has no name"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_that_is_surely_wrong_is_refused(kind):
    table, sentence = TABLES[kind]
    refused(sentence, lambda: data.from_frame(table, "y"))


RIGHT = {
    "age bands": repeated(["10-20", "20-30", "30-40", "40+"]),
    "seasons": repeated(["2008-09", "2009-10", "2010-11"]),
    "grades": repeated(["1", "2", "3+", "4"]),
    "labels that are numbers": repeated(["1", "2", "3"]),
    "house numbers": repeated(["1a", "2b", "3c", "4d"]),
    "versions": repeated(["1.2.3", "1.2.4", "2.0.0"]),
    "months": repeated(["Jan", "May", "Mar"]),
    "doses": repeated(["10mg", "20mg"]),
    "fractions": repeated(["1/2", "1/4"]),
    "yes and no": repeated(["yes", "no"]),
    "punctuation": repeated(["?", "-", "."]),
    "many categories": pd.Categorical(repeated([str(n) for n in range(30)])),
}


@pytest.mark.parametrize("kind", RIGHT)
def test_categories_are_left_alone(kind):
    d = data.from_frame(frame(x=RIGHT[kind]), "y")
    levels = len(set(RIGHT[kind]))
    assert d.columns == (("a", "number", 0), ("x", "category", levels)) and len(d.features) == 1 + levels


DOUBTS = {
    "whole numbers as classes": (frame(y=repeated([3, 4, 5])), "target 'y' holds 3 whole numbers.*task='regression'"),
    "0.0 and 1.0": (frame(y=repeated([0.0, 1.0])), "only 2 different numbers, taken for a quantity.*--task binary"),
    "two halves": (frame(y=repeated([0.5, 1.5])), "holds only 2 different numbers.*say task='binary'"),
    "1.0, 2.0, 3.0": (frame(y=repeated([1.0, 2.0, 3.0])), "holds only 3 different numbers.*--task categorical"),
    "a row number": (frame(row=range(ROWS)), "'row' counts the rows, each number once: drop it \\(drop=\\['row'\\]"),
    "from 100000 on": (frame(listing=np.arange(ROWS) + 100_000), "column 'listing' counts the rows"),
    "backwards": (frame(row=np.arange(ROWS)[::-1]), "column 'row' counts the rows"),
    "in disorder": (frame(row=np.random.default_rng(0).permutation(ROWS)), "column 'row' counts the rows"),
    "as floats": (frame(row=np.arange(ROWS) + 0.0), "column 'row' counts the rows"),
    "an id with gaps": (frame(PassengerId=COUNTS), "'PassengerId' has a whole number of its own in every row: drop it"),
    "the target again": (frame(**{"y.1": B}), "column 'y.1' gives the target away in every row: drop it"),
    "the classes again": (
        frame(y=repeated(["u", "v", "w"]), code=repeated([7, 3, 5])),
        "column 'code' gives the target away",
    ),
    "the classes as text": (frame(y=repeated([True, False]), code=repeated(["u", "v"])), "gives the target away"),
    "constant": (frame(x=7), "column 'x' is 7 in every row and tells nothing: drop it"),
    "many categories": (frame(x=repeated([f"v{n}x" for n in range(25)])), "text of 25 different values and becomes as"),
    "two spellings": (
        frame(x=repeated(["red", "Red", "blue"])),
        "'x' has 'red' and 'Red', which differ by their spell",
    ),
    "a blank at the end": (frame(x=repeated(["red", "red ", "blue"])), "column 'x' has 'red' and 'red '"),
    "spellings of the target": (frame(y=repeated(["yes", "no", "Yes"])), "column 'y' has 'yes' and 'Yes'"),
}


@pytest.mark.parametrize("kind", DOUBTS)
def test_what_is_likely_wrong_is_said_and_read_all_the_same(kind):
    table, sentence = DOUBTS[kind]
    d = data.from_frame(table, "y")
    assert len(d.doubts) == 1
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(d.doubts[0])
    assert data.understood(d)[3:] == [f"warning: {d.doubts[0]}"]


@pytest.mark.parametrize(
    "columns, task",
    [
        ({}, None),
        ({"y": repeated([0, 1])}, None),
        ({"y": repeated([True, False])}, None),
        ({"y": repeated([3, 4, 5])}, "regression"),
        ({"y": repeated([3, 4, 5])}, "categorical"),
        ({"y": repeated([0.0, 1.0])}, "binary"),
        ({"y": np.arange(ROWS)}, None),
        ({"year": COUNTS, "x": repeated(["u", "v"])}, None),
        ({"big": np.linspace(-1e300, 1e300, ROWS) * 1e-290}, None),
    ],
)
def test_without_doubts_three_lines(columns, task):
    d = data.from_frame(frame(**columns), "y", task)
    assert d.doubts == () and len(data.understood(d)) == 3


def test_many_doubts_are_cut_short():
    d = data.from_frame(frame(**{f"x{n}": 0 for n in range(20)}), "y")
    assert len(d.doubts) == 20
    assert data.understood(d)[3:] == [
        *(f"warning: {doubt}" for doubt in d.doubts[:8]),
        "warning: and 12 more, in the doubts of the data.",
    ]


def test_what_was_understood():
    table = frame(old=repeated([True, False]), city=repeated(["Ulm", "Bonn", "Kiel"]), size=np.arange(ROWS) ** 2, one=A)
    d = data.from_frame(table, "y", test_fraction=0.25, split=3, unit="EUR")
    assert data.understood(d) == [
        "rows: 45 to train on, 15 to test on (split 3)",
        "features: 7, from 3 numbers (a, size, one); 1 yes/no (old); 1 category (city of 3)",
        f"target: y, regression ({B.min():g} to {B.max():g} EUR)",
    ]
    classes = data.understood(
        data.from_frame(frame(y=repeated([f"class {n}" for n in range(10)]), b=B), "y", None, 0.2)
    )
    assert classes[2] == f"target: y, categorical (10 classes: {', '.join(f'class {n}' for n in range(8))}, ...)"


def test_what_was_understood_of_a_data_set_of_pixels():
    rows, features, target = data.understood(data.load("digits"))
    assert features == f"features: 64, from 64 pixels ({', '.join(f'pixel_0_{n}' for n in range(8))}, ...)"
    assert rows == "rows: 1,617 to train on, 180 to test on (split 0)"
    assert target == "target: digit, categorical (10 classes: 0, 1, 2, 3, 4, 5, 6, 7, ...)"


def test_the_range_of_the_target_is_that_of_the_table():
    for low, high in [(0, 1e-7), (31000, 892400), (1.7e9, 1.7e9 + 60), (-0.5, 0)]:
        d = data.from_frame(frame(y=np.linspace(low, high, ROWS)), "y")
        assert data.understood(d)[2] == f"target: y, regression ({low:.15g} to {high:.15g})"


def same(one, other):
    assert one.features == other.features and one.task == other.task
    np.testing.assert_array_equal(one.x_train, other.x_train)
    np.testing.assert_array_equal(one.y_test, other.y_test)


def test_columns_are_dropped_before_anything_is_asked_of_them(tmp_path):
    table = frame(b=A * 2)
    bad = table.assign(name=[f"n{i}x" for i in range(ROWS)], when=DAYS.astype(str), hole=np.nan)
    bad.to_csv(tmp_path / "t.csv")
    out = ["Unnamed: 0", "name", "when", "hole"]
    table.to_csv(tmp_path / "good.csv", index=False)
    same(data.load(f"{tmp_path / 't.csv'}:y", drop=out), data.load(f"{tmp_path / 'good.csv'}:y"))
    same(data.from_frame(bad, "y", drop=out[1:]), data.from_frame(table, "y"))


@pytest.mark.parametrize(
    "drop, sentence, error",
    [
        (["aa"], "unknown column to drop 'aa'; did you mean 'a'", ValueError),
        (["y"], "column 'y' is the target: leave it out of those to drop", ValueError),
        (["a", "b"], "no column besides its target 'y'", ValueError),
        ("a", r"drop takes a list of columns: write drop=\['a'\]", TypeError),
    ],
)
def test_what_cannot_be_dropped(drop, sentence, error):
    refused(sentence, lambda: data.from_frame(frame(b=A * 2), "y", drop=drop), error)


ARRIVES = {
    "t.tsv": {"sep": "\t"},
    "t.TSV": {"sep": "\t"},
    "t.csv.gz": {},
    "t.tsv.gz": {"sep": "\t"},
    "semicolons.csv": {"sep": ";"},
    "decimals.csv": {"sep": ";", "decimal": ","},
    "quoted.csv": {"decimal": ","},
    "blanks.csv": {"sep": " "},
    "latin.csv": {"encoding": "latin-1"},
    "wide.csv": {"encoding": "utf-16"},
    "marked.csv": {"encoding": "utf-8-sig"},
}


@pytest.mark.parametrize("name", ARRIVES)
def test_the_same_table_in_another_file(name, tmp_path):
    options, table = ARRIVES[name], frame(größe=A * 2)
    if options.get("sep") == " ":
        table = table.rename(columns={"größe": "size"})
    table.to_csv(tmp_path / name, index=False, **options)
    told = {} if "t." in name or name == "marked.csv" else options
    d = data.load(f"{tmp_path / name}:y", **told)
    same(d, data.from_frame(table, "y"))
    assert d.name == name.partition(".")[0]


def test_a_tab_as_a_shell_hands_it_on(tmp_path):
    frame().to_csv(tmp_path / "t.csv", index=False, sep="\t")
    same(data.load(f"{tmp_path / 't.csv'}:y", sep="\\t"), data.from_frame(frame(), "y"))


OPTIONS = {
    "latin-1": ("größe,y\n1,2\n".encode("latin-1"), {}, "is not utf-8 text: name its encoding.*--encoding latin-1"),
    "utf-16": ("größe,y\n1,2\n".encode("utf-16"), {}, "is not utf-8 text: name its encoding.*--encoding utf-16"),
    "ascii": ("größe,y\n1,2\n".encode(), {"encoding": "ascii"}, "is not ascii text"),
    "unknown encoding": (TEXT.encode(), {"encoding": "latin-99"}, "there is no encoding 'latin-99': name another"),
    "long sep": (TEXT.encode(), {"sep": ";;"}, "sep is one character, got ';;'"),
    "long decimal": (TEXT.encode(), {"decimal": ",,"}, "decimal is one character, got ',,'"),
    "wrong sep": (TEXT.encode(), {"sep": ";"}, "is separated by commas, not by semicolons: say sep=','"),
    "odd sep": (TEXT.encode(), {"sep": "#"}, "is separated by commas, not by '#': say sep=','"),
    "test fraction": (TEXT.encode(), {"test_fraction": 0.0}, "test_fraction is 0.0; it must lie between 0 and 1"),
    "nothing to train on": (TEXT.encode(), {"test_fraction": 0.999}, "test_fraction is 0.999: of 60 rows none is left"),
    "task": (TEXT.encode(), {"task": "regresion"}, "unknown task 'regresion'; did you mean 'regression'"),
    "wrong decimal": (csv(A, A, B).encode(), {"decimal": ","}, "column 'a' holds numbers as text.*leave decimal out"),
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_options_that_do_not_fit_the_file(kind, tmp_path):
    content, options, sentence = OPTIONS[kind]
    (tmp_path / "t.csv").write_bytes(content)
    refused(sentence, lambda: data.load(f"{tmp_path / 't.csv'}:y", **options))


@pytest.mark.parametrize("name", ["t.xlsx:y", "t.XLS:y", "t.txt:y", "t.csv.bz2:y", "t.json", "folder/t:y", "t.cvs:y"])
def test_other_kinds_of_files_are_answered_by_what_to_do(name):
    refused(r"is not read here: save the table as .csv, .tsv \(both may be .gz\) or .parquet", lambda: data.load(name))


def test_a_stray_among_decimal_commas_is_what_is_named(tmp_path):
    (tmp_path / "t.csv").write_text(csv(["?", *(str(a).replace(".", ",") for a in A[1:])], B, header="a;y", sep=";"))
    said = r"column 'a' has text \('\?'\) among its numbers"
    refused(said, lambda: data.load(f"{tmp_path / 't.csv'}:y", sep=";", decimal=","))


def test_a_line_is_a_line_though_a_name_is_not():
    d = data.from_frame(frame(**{"size\nin m": repeated([3, 3.5])}), "y")
    assert data.understood(d)[1] == "features: 2, from 2 numbers (a, size in m)"


def test_a_broken_gzip(tmp_path):
    whole = gzip.compress(TEXT.encode())
    for content in (whole[:-20], b"a,y\n", whole[:30] + b"\0" * 40 + whole[70:]):
        (tmp_path / "t.csv.gz").write_bytes(content)
        refused("t.csv.gz is not a readable gz table", lambda: data.load(f"{tmp_path / 't.csv.gz'}:y"))


def test_a_parquet_file_has_no_separator(tmp_path):
    frame().to_parquet(tmp_path / "t.parquet")
    refused("leave sep, decimal and encoding out", lambda: data.load(f"{tmp_path / 't.parquet'}:y", sep=";"))


@pytest.mark.parametrize("options", [{"task": "regression"}, {"drop": ["age"], "sep": ";"}, {"test_fraction": 0.2}])
def test_a_data_set_of_the_catalogue_takes_none_of_them(options):
    said = f"data set 'diabetes' is read as it was published: leave {' and '.join(options)} out"
    refused(said, lambda: data.load("diabetes", **options))


def test_a_column_of_numbers_and_text_in_a_long_file(tmp_path):
    (tmp_path / "t.csv").write_text(csv([*range(300_000), "?"], [*range(300_001)], header="a,y"))
    refused(r"column 'a' has text \('\?'\) among its numbers", lambda: data.load(f"{tmp_path / 't.csv'}:y"))
