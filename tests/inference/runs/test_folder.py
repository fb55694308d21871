"""A run folder from elsewhere: nothing outside it is read or written, and a file that was changed is refused."""

import json
import os
import time
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr
from made_trees import made_tree
from nets import made_run
from noisezoo.inference import seals
from noisezoo.inference.judging import datatree
from noisezoo.inference.runs import folder, run, trim
from noisezoo.inference.sparsity import net_files
from noisezoo.inference.target import warm_start


@pytest.fixture
def made(tmp_path):
    """A run folder of one fit, beside which there is somebody else's file."""
    path = tmp_path / "run"
    path.mkdir()
    tree = made_tree("svi", seed=1).copy(deep=True)
    sha256 = datatree.save(tree, path / "svi.nc")
    fit = {"settings": {}, "file": "svi.nc", "sha256": sha256, "status": "done", "why": ""}
    options = {"data": "made", "with": "svi", "network": "linear", "split": 0, "seed": 0}
    words = {"title": "a run", "prior": "half_cauchy", "started": "now", "versions": {}, "data_sha256": "0"}
    folder.write_run(path, {**words, "options": options, "fits": {"svi": fit}})
    datatree.save(tree, tmp_path / "outside.nc")
    return path


def changed(path, unsealed=False, **changes):
    """Change ``run.json`` as somebody with an editor would, or as a program that seals it would."""
    record = json.loads((path / "run.json").read_text())
    for name, value in changes.items():
        if name in record:
            record[name] = value
        else:
            record["fits"]["svi"][name] = value
    record.pop(seals.KEY)
    (path / "run.json").write_text(json.dumps(record if unsealed else record | {seals.KEY: seals.digest(record)}))


def everything(path):
    """Name -> content of what lies below a folder."""
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_a_report_leaves_the_fits_alone(made):
    before = (made / "svi.nc").read_bytes()
    run.report_again(made)
    assert (made / "svi.nc").read_bytes() == before and (made / "report.html").is_file()


@pytest.mark.parametrize(
    "name", ["../outside.nc", "/outside.nc", "..", ".", "", "a/../svi.nc", "a\\b", "a\0b", 3, None]
)
def test_a_file_outside_is_neither_read_nor_written(made, name):
    name = str(made.parent / "outside.nc") if name == "/outside.nc" else name
    changed(made, file=name)
    before = everything(made.parent)
    with pytest.raises(ValueError, match=r"plain name, of a file inside the folder|is not as compare writes it"):
        run.report_again(made)
    with pytest.raises(ValueError, match=r"plain name|is not as compare writes it"):
        trim.trim(made)
    assert everything(made.parent) == before


LACKS = {  # a group of a tree, and what becomes of it
    "predictions/y": ("predictions", lambda group: None),
    "predictions/draw": ("predictions", lambda group: group.isel(draw=0)),
    "predictions_constant_data/y": ("predictions_constant_data", lambda group: None),
    "history/log_lik": ("guide", lambda group: xr.Dataset()),
    "sample_stats/log_p": ("sample_stats", lambda group: xr.Dataset({"log_q": (("chain", "draw"), np.ones((4, 200)))})),
    "prior_note": ("", lambda attrs: attrs.pop("prior_note")),
    "a number seconds_sample": ("", lambda attrs: attrs.update(seconds_sample="long")),
}


@pytest.mark.parametrize("what", LACKS)
def test_a_sealed_fit_that_lacks_a_part_is_one_sentence(made, what):
    tree = warm_start.load(made / "svi.nc").copy(deep=True)
    name, change = LACKS[what]
    group = change(tree[name].to_dataset() if name in tree.children else tree.attrs)
    if name and group is None:
        del tree[name]
    elif name:
        tree[name] = xr.DataTree(group)
    changed(made, sha256=datatree.save(tree, made / "svi.nc"))
    with pytest.raises(ValueError, match=f"svi.nc is not a whole fit: it lacks {what}; run the fit again$"):
        run.report_again(made)


@pytest.mark.parametrize("name", ["svi.nc", "run.json"])
def test_a_link_out_of_the_folder_is_refused(made, name):
    outside = made.parent / "somewhere"
    (made / name).rename(outside)
    (made / name).symlink_to(outside)
    with pytest.raises(ValueError, match=f"{name} is a link that leads out of its folder"):
        run.report_again(made)


def test_links_where_a_report_writes_are_replaced_and_not_followed(made):
    outside = made.parent / "precious"
    outside.write_text("mine")
    for name in ("table.csv", "report.html", ".table.part.csv", ".report.part.html"):
        (made / name).symlink_to(outside)
    run.report_again(made)
    assert outside.read_text() == "mine" and not (made / "report.html").is_symlink()


@pytest.mark.parametrize("kind", ["pipe", "folder"])
@pytest.mark.parametrize("name", ["svi.nc", "run.json"])
def test_what_is_no_file_is_refused_at_once(made, name, kind):
    (made / name).unlink()
    os.mkfifo(made / name) if kind == "pipe" else (made / name).mkdir()
    began = time.monotonic()
    with pytest.raises(ValueError, match=rf"{name} is a {kind}.*, not a file; remove it"):
        run.report_again(made)
    assert time.monotonic() - began < 5


MALFORMED = {
    "not a table": "[]",
    "text": '"a"',
    "a number": "1",
    "nothing": "",
    "half": '{"fits": {',
    "deep": "[" * 100_000,
    "deeper": '{"a":' * 100_000,
    "binary": "\x00\x01",
    "a number too long": '{"fits": ' + "1" * 10_000 + "}",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_record_is_one_sentence(made, name):
    (made / "run.json").write_text(MALFORMED[name])
    with pytest.raises(ValueError, match=r"run.json is not whole; run the comparison again$"):
        run.report_again(made)


@pytest.mark.parametrize("missing", [*folder.KINDS, *folder.FIT, *folder.OPTIONS])
@pytest.mark.parametrize("value", [None, [1]])
def test_a_record_of_other_kinds_is_one_sentence(made, missing, value):
    record = folder.read_run(made)
    owner = next(one for one in (record, record["options"], record["fits"]["svi"]) if missing in one)
    if value is None:
        del owner[missing]
    else:
        owner[missing] = value
    folder.write_run(made, record)
    with pytest.raises(ValueError, match=rf"run.json is not as compare writes it \(see .?{missing}.?\)"):
        run.report_again(made)
    folder.write_run(made, {**record, "fits": value or {"svi": 1}})
    with pytest.raises(ValueError, match="is not as compare writes it"):
        run.report_again(made)


def test_a_record_that_was_edited_is_refused_and_one_of_old_is_read(made):
    text = (made / "run.json").read_text()
    (made / "run.json").write_text(text.replace("a run", "my run"))
    with pytest.raises(ValueError, match="run.json was changed since it was written; run the comparison again"):
        run.report_again(made)
    (made / "run.json").write_text(text)
    changed(made, unsealed=True)
    run.report_again(made)


def flipped(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_flipped_data_are_refused(made):
    size = (made / "svi.nc").stat().st_size
    for at in (size // 2, size - seals.LENGTH - 1, size - 30):
        flipped(made / "svi.nc", at)
        with pytest.raises(ValueError, match="svi.nc was changed since it was written; run the fit again"):
            run.report_again(made)
        with pytest.raises(ValueError, match="svi.nc was changed since it was written"):
            warm_start.load(made / "svi.nc")
        flipped(made / "svi.nc", at)
    run.report_again(made)


def test_a_fit_of_another_run_is_refused(made):
    datatree.save(made_tree("svi", seed=2).copy(deep=True), made / "svi.nc")
    assert warm_start.load(made / "svi.nc").attrs["strategy"] == "svi"
    with pytest.raises(ValueError, match="svi.nc is not whole, or not the file that this run wrote; put that one back"):
        run.report_again(made)


def test_a_tail_of_zeros_is_found(made):
    content = (made / "svi.nc").read_bytes()
    (made / "svi.nc").write_bytes(content[:-500] + bytes(500))
    with pytest.raises(ValueError, match="has lost the seal in its last line|is not a whole netCDF file"):
        warm_start.load(made / "svi.nc")


def test_other_programs_read_a_sealed_file_and_one_without_a_seal_is_read(made):
    tree = xr.open_datatree(made / "svi.nc").load()
    del tree.attrs[warm_start.SEALED]
    tree.to_netcdf(made / "theirs.nc", engine="h5netcdf")
    found = warm_start.load(made / "theirs.nc")
    np.testing.assert_array_equal(found["posterior"]["layer0.bias"], tree["posterior"]["layer0.bias"])


def test_arrays_that_a_file_cannot_hold_are_refused_before_there_is_memory_for_them(tmp_path):
    import h5netcdf

    with h5netcdf.File(tmp_path / "huge.nc", "w") as file:
        file.dimensions = {"n": 10**12}
        file.create_variable("posterior/a", ("n",), float, chunks=(1000,))
    with pytest.raises(
        ValueError, match=r"huge.nc declares 8,000,000,000,000 bytes of arrays, which a file of its size"
    ):
        warm_start.load(tmp_path / "huge.nc")


def test_a_net_of_too_many_weights_is_refused(tmp_path):
    made_run(tmp_path)
    net, _ = trim.trim(tmp_path, threshold=10.0)
    description = net_files.load_net(net).description
    for shape, says in [
        ([10**7, 10**7], "declares .* weights, and at most 268,435,456 are read"),
        ([-1, 5], "declares"),
    ]:
        seals.write_json(net / "net.json", description | {"shapes": {"layer0.weight": shape}})
        with pytest.raises(ValueError, match=says):
            net_files.load_net(net)
    for name in net_files.KINDS:
        seals.write_json(net / "net.json", description | {name: 1})
        with pytest.raises(ValueError, match=f"net.json is not as trim writes it .see .*{name}"):
            net_files.load_net(net)
    (net / "net.json").write_text(json.dumps(description | {seals.KEY: "0"}))
    with pytest.raises(ValueError, match="net.json was changed since it was written; trim the run again"):
        net_files.load_net(net)


def test_trim_keeps_a_net_that_is_there(tmp_path):
    made_run(tmp_path)
    net, _ = trim.trim(tmp_path)
    before = everything(net)
    with pytest.raises(
        FileExistsError, match="already holds a net; name another folder with --out, or remove this one"
    ):
        trim.trim(tmp_path, threshold=1.0)
    assert everything(net) == before


EVIL = "<script>alert(1)</script><img src=x onerror='alert(2)'>\"&amp;"


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.handlers = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def test_markup_in_titles_and_labels_is_text(made):
    record = folder.read_run(made)
    fit = {**record["fits"]["svi"], "settings": {EVIL: EVIL}}
    failed = {"settings": {}, "file": "b.nc", "status": "failed", "why": EVIL}
    words = {"title": EVIL, "prior": EVIL, "started": EVIL, "versions": {EVIL: EVIL}, "data_sha256": EVIL}
    options = {**record["options"], "data": EVIL}
    folder.write_run(made, {**record, **words, "options": options, "fits": {EVIL: fit, f"b{EVIL}": failed}})
    run.report_again(made)
    reader = Tags()
    reader.feed((made / "report.html").read_text())
    assert "script" not in reader.tags and not reader.handlers and {"h1", "table", "img"} <= reader.tags
