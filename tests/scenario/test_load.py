import os
import subprocess
import sys
from pathlib import Path

import pytest

from analogdeq.errors import AnalogdeqError, InputError, ScenarioError
from analogdeq.scenario import load_scenario
from analogdeq.scenario.files import shipped_names

LEAST = 'name = "least"\n[task]\nname = "digits"\n[circuit]\ng_min_S = "1 uS"\ng_max_S = "20 uS"\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def problems(source, overrides=()) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(source, overrides)
    return caught.value.problems


def test_a_path_and_its_text_load_the_same(folder):
    path = write(folder / "a.toml", LEAST)
    assert load_scenario(path) == load_scenario("a.toml") == load_scenario(str(path))


def test_a_shipped_scenario_loads_by_name_with_or_without_suffix():
    assert load_scenario("digits-crossbar") == load_scenario("digits-crossbar.toml")


def test_a_bare_name_is_the_shipped_one_even_beside_a_run_folder_of_that_name(folder):
    (folder / "digits-crossbar").mkdir()
    assert load_scenario("digits-crossbar").name == "digits-crossbar"


def test_a_file_of_a_shipped_name_wins_when_the_suffix_is_written(folder):
    write(folder / "digits-crossbar.toml", 'base = "digits-crossbar"\ntitle = "mine"\n')
    assert load_scenario("digits-crossbar.toml").title == "mine"
    assert load_scenario("digits-crossbar").title != "mine"


def test_a_base_is_found_beside_the_file_that_names_it(folder):
    write(folder / "deep/base.toml", LEAST)
    write(folder / "deep/er/child.toml", 'base = "../base.toml"\nname = "child"\n')
    child = load_scenario("deep/er/child.toml")
    assert child.name == "child"
    assert child.circuit.g_max_S == 20e-6


def test_tables_merge_deeply_and_the_nearest_file_wins(folder):
    write(folder / "a.toml", LEAST + "node_C_F = 1e-12\n[circuit.adc]\nbits = 4\nquantile = 'best'\n")
    write(folder / "b.toml", 'base = "a.toml"\n[circuit.adc]\nbits = 5\n')
    write(folder / "c.toml", 'base = "b.toml"\n[circuit]\nnode_C_F = 2e-12\n')
    circuit = load_scenario("c.toml", ["circuit.adc.bits=6"]).circuit
    assert (circuit.node_C_F, circuit.adc.bits, circuit.adc.quantile) == (2e-12, 6, "best")


def test_a_variant_can_undo_what_its_base_set(folder):
    write(folder / "a.toml", LEAST + "[circuit.amplifier]\ngbw_Hz = '1 GHz'\n")
    write(folder / "b.toml", 'base = "a.toml"\n[circuit.amplifier]\ngbw_Hz = "none"\n')
    assert load_scenario("a.toml").circuit.amplifier.gbw_Hz == 1e9
    assert load_scenario("b.toml").circuit.amplifier.gbw_Hz is None


def test_a_chain_may_be_long(folder):
    write(folder / "0.toml", LEAST)
    for number in range(1, 300):
        write(folder / f"{number}.toml", f'base = "{number - 1}.toml"\n')
    assert load_scenario("299.toml").name == "least"


def test_a_circle_through_a_symbolic_link_is_seen(folder):
    write(folder / "a.toml", 'base = "link.toml"\n')
    (folder / "link.toml").symlink_to("a.toml")
    assert problems("a.toml") == ["a.toml: base = 'link.toml': leads back to link.toml"]


def test_a_file_that_extends_the_shipped_one_of_its_own_name_is_told_how(folder):
    write(folder / "digits-crossbar.toml", 'base = "digits-crossbar.toml"\n')
    [problem] = problems("digits-crossbar.toml")
    assert problem.endswith("write base = 'digits-crossbar'")


def test_a_missing_file_lists_the_shipped_names_and_the_nearest(folder):
    [problem] = problems("digits-crosbar")
    assert problem.startswith("'digits-crosbar': there is no such file, nor a shipped scenario of that name.")
    assert "Did you mean 'digits-crossbar'?" in problem
    assert all(name in problem for name in shipped_names())


def test_a_missing_file_that_only_lacks_its_suffix_is_named(folder):
    write(folder / "mine.toml", LEAST)
    assert "Did you mean 'mine.toml'?" in problems("mine")[0]


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "~/nowhere.toml", "nowhere/at/all.toml", "\n", "ü"])
def test_an_impossible_name_is_a_missing_file(folder, name):
    assert "there is no such file" in problems(name)[0]


@pytest.mark.parametrize("name", [".", "..", "/", ""])
def test_a_folder_is_no_scenario(folder, name):
    assert "is a folder" in problems(name)[0]


def test_an_empty_file_says_what_belongs_in_it(folder):
    write(folder / "empty.toml", "")
    [problem] = problems("empty.toml")
    assert problem == "empty.toml: is empty; a scenario has at least a name, [task] and [circuit], or a base"


def test_a_file_in_another_encoding_gives_the_line(folder):
    (folder / "latin.toml").write_bytes(LEAST.encode() + "# 25 µS\n".encode("latin-1"))
    [problem] = problems("latin.toml")
    assert problem == "latin.toml: line 7: byte 0xb5 is not UTF-8; save the file as UTF-8"


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(folder):
    (folder / "windows.toml").write_bytes(b"\xef\xbb\xbf" + LEAST.replace("\n", "\r\n").encode())
    assert load_scenario("windows.toml").name == "least"


def test_binary_data_is_refused(folder):
    (folder / "data.toml").write_bytes(bytes(range(128)))
    assert "data.toml: line 1: is not TOML" in problems("data.toml")[0]


def test_a_huge_file_is_refused(folder):
    (folder / "huge.toml").write_bytes(b"#" * 2_000_000)
    assert "is larger than 1000000 bytes" in problems("huge.toml")[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_refused(folder):
    write(folder / "secret.toml", LEAST).chmod(0)
    assert problems("secret.toml") == ["'secret.toml': cannot be read: Permission denied"]


def test_a_mistake_is_blamed_on_the_file_of_the_chain_that_made_it(folder):
    write(folder / "a.toml", LEAST + 'node_C_F = "1 mV"\nnode_R_ohm = 0\n[settle]\nband = 5\n')
    write(folder / "b.toml", 'base = "a.toml"\n[circuit]\nnode_R_ohm = "2 V"\n[train]\nepochs = "ten"\n')
    found = problems("b.toml", ["settle.band=9", "trace.samples=x"])
    assert [line.partition(" = ")[0] for line in found] == [
        "b.toml: [circuit] node_R_ohm",
        "a.toml: [circuit] node_C_F",
        "--set: [settle] band",
        "b.toml: [train] epochs",
        "--set: [trace] samples",
    ]


def test_a_mistake_in_the_base_is_forgiven_when_it_is_replaced(folder):
    write(folder / "a.toml", LEAST + 'node_C_F = "1 mV"\n')
    assert load_scenario("a.toml", ["circuit.node_C_F=1 pF"]).circuit.node_C_F == 1e-12


def test_a_value_where_a_table_belongs_is_not_lost_under_a_later_table(folder):
    write(folder / "a.toml", "settle = 5\n" + LEAST)
    write(folder / "b.toml", 'base = "a.toml"\n[settle]\nband = 1e-2\n')
    assert problems("b.toml") == [
        "a.toml: settle = 5: is not a table; write [settle] on a line of its own, and its keys beneath"
    ]


def test_a_broken_rule_blames_the_last_word_and_names_both_sources(folder):
    write(folder / "a.toml", LEAST)
    [problem] = problems("a.toml", ["circuit.g_min_S=30 uS"])
    assert problem.startswith("--set: [circuit] g_min_S = '30 uS', g_max_S = '20 uS' (a.toml): g_max_S must be above")


def test_the_text_of_the_error_is_all_its_lines(folder):
    write(folder / "a.toml", LEAST + "x = 1\ny = 2\n")
    with pytest.raises(ScenarioError) as caught:
        load_scenario("a.toml")
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 2
    assert isinstance(caught.value, AnalogdeqError)
    assert caught.value.__cause__ is None


def test_a_device_file_is_meant_from_the_scenario_that_names_it(folder):
    write(folder / "lab/a.toml", LEAST + '[device]\npreset = "devices/mine.toml"\n')
    write(folder / "b.toml", 'base = "lab/a.toml"\n')
    assert load_scenario("b.toml").device.preset == str(folder / "lab/devices/mine.toml")
    assert load_scenario("b.toml", ["device.preset=here.toml"]).device.preset == str(folder / "here.toml")
    assert load_scenario("b.toml", ["device.preset=pcm-generic"]).device.preset == "pcm-generic"


@pytest.mark.parametrize("overrides", ["trace.samples=1", {"trace.samples": 1}, [5], None])
def test_changes_that_are_not_a_list_of_texts_are_told_apart(overrides):
    with pytest.raises(InputError, match="give"):
        load_scenario("digits-crossbar", overrides)


@pytest.mark.parametrize("source", [None, 5, b"digits-crossbar", ["digits-crossbar"]])
def test_a_source_that_is_no_path_is_refused(source):
    with pytest.raises(InputError, match="give a path or the name"):
        load_scenario(source)


def test_importing_scenarios_leaves_the_heavy_packages_alone():
    code = (
        "import sys, analogdeq.scenario as s; s.load_scenario('digits-crossbar'); s.json_schema();"
        "sys.exit(', '.join({'torch', 'numpy', 'scipy', 'h5py', 'matplotlib'} & set(sys.modules)) or None)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
