"""The export: records that the real schema accepts, numbers that are the tables' cells, and hostile names."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from claim_tables import edit
from jsonschema import Draft7Validator
from workflow import REPOSITORY

from boundary_bench.claims.verdicts import ledger
from boundary_bench.commands import main
from boundary_bench.core.errors import EXIT_USER_ERROR, DataError
from boundary_bench.core.provenance import file_sha256
from boundary_bench.operations.export import export
from boundary_bench.operations.export.every_eval_ever import FOLDER, SCHEMA_VERSION
from boundary_bench.plan import Plan
from results import HOSTILE, copied, make_tree, run_stages

PUBLISHED = REPOSITORY / "results" / "published" / "quickstart-seeds"
SCHEMA = Path(__file__).parent.parent / "data" / "every_eval_ever" / "eval-0.3.0.schema.json"
UUID4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
Records = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of the published study, as a user makes it."""
    folder = tmp_path_factory.mktemp("export") / "out"
    assert main(["export", PUBLISHED.name, "--results", str(PUBLISHED.parent), "--to", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    plan = make_tree(tmp_path_factory.mktemp("toy"))
    run_stages(plan)
    return plan


@pytest.fixture
def fresh(toy: Plan, tmp_path: Path) -> Plan:
    """A copy of the finished tables that a test may damage."""
    return copied(toy, tmp_path / "results", "tables")


def records(folder: Path) -> Records:
    """Every record by its path in the datastore."""
    root = folder / "every_eval_ever"
    return {str(path.relative_to(root)): json.loads(path.read_text()) for path in root.rglob("*.json")}


def table(study: Path, name: str) -> list[dict[str, str]]:
    """The rows of all problems together."""
    with open(study / "tables" / f"{name}.csv", newline="") as lines:
        return [row for row in csv.DictReader(lines) if row["stratum"] == "all"]


def front_matter(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text().split("---\n")[1])


def faults(record: dict[str, Any]) -> list[str]:
    schema = Draft7Validator(json.loads(SCHEMA.read_text()))
    return [f"{fault.json_path}: {fault.message}" for fault in schema.iter_errors(record)]


# the schema of Every Eval Ever


def test_a_record_has_no_samples_to_read_back(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = next((published / "every_eval_ever").rglob("*.json"))
    assert main(["passk", str(file)]) == EXIT_USER_ERROR
    assert "found a record of Every Eval Ever with results alone, expected samples" in capsys.readouterr().err


def test_the_schema_is_the_released_one_and_sees_faults() -> None:
    assert file_sha256(SCHEMA) == "c9c6195aec8a9dfa0b2aba4924ac1aa8a184c9d8ca97cee778cb531088e39b48"
    assert json.loads(SCHEMA.read_text())["version"] == SCHEMA_VERSION
    assert len(faults({"schema_version": SCHEMA_VERSION, "extra": 1})) == 7, "six missing keys and one too many"


def test_every_record_is_valid_in_its_place(published: Path) -> None:
    found = records(published)
    assert len(found) == 49 * 2, "the base and 12 runs of 4 checkpoints, on two benchmarks"
    assert len({record["evaluation_id"] for record in found.values()}) == len(found)
    for path, record in found.items():
        assert not faults(record), path
        root, collection, developer, model, name = path.split("/")
        assert root == "data" and collection == f"boundary-bench-{record['evaluation_results'][0]['evaluation_name']}"
        assert record["model_info"]["id"] == f"{developer}/{model}" and re.fullmatch(rf"{UUID4}\.json", name)


def test_scores_lie_within_their_bounds_and_intervals(published: Path) -> None:
    for record in records(published).values():
        for result in record["evaluation_results"]:
            interval = result["score_details"]["uncertainty"]["confidence_interval"]
            ends = result["metric_config"]["min_score"], result["metric_config"]["max_score"]
            assert ends[0] <= interval["lower"] <= result["score_details"]["score"] <= interval["upper"] <= ends[1]


def test_every_number_is_a_cell_of_the_tables(published: Path) -> None:
    found = {
        (record["model_info"]["name"], result["evaluation_name"], result["evaluation_result_id"]): result
        for record in records(published).values()
        for result in record["evaluation_results"]
    }
    cells = {
        (row["policy"], row["benchmark"], f"pass@{row['k']}"): (row, "estimate", "")
        for row in table(PUBLISHED, "pass_at_k")
    }
    cells |= {
        (row["policy"], row["benchmark"], "greedy"): (row, "greedy", "greedy_") for row in table(PUBLISHED, "summary")
    }
    assert found.keys() == cells.keys()
    for place, (row, column, prefix) in cells.items():
        details = found[place]["score_details"]
        assert details["score"] == float(row[column])
        assert details["details"].items() <= row.items() and details["details"]["samples"] == row["samples"]
        interval = details["uncertainty"]["confidence_interval"]
        assert (interval["lower"], interval["upper"]) == tuple(float(row[f"{prefix}{end}"]) for end in ("low", "high"))
        assert (interval["confidence_level"], interval["method"]) == (float(row["level"]), row["interval"])
        assert details["uncertainty"]["num_samples"] == int(row["problems"])
        if prefix == "":
            parameters = found[place]["metric_config"]["metric_parameters"]
            assert (parameters["k"], parameters["n"], parameters["stop_after"]) == (int(row["k"]), 1024, 32)


def test_a_record_says_whose_it_is_and_how_it_was_drawn(published: Path) -> None:
    name = "countdown-base--gspo-n--seed2--step40"
    record = next(
        each for path, each in records(published).items() if name in path and "/boundary-bench-countdown/" in path
    )
    provenance = json.loads((PUBLISHED / "tables" / "provenance.json").read_text())
    details = record["model_info"]["additional_details"]
    assert details["weights_sha256"] == provenance["weights_sha256"][name]
    assert (details["algorithm"], details["training_seed"], details["training_step"]) == ("gspo-n", "2", "40")
    assert details["base_model"] == "boundary-bench/countdown-base"
    assert json.loads(details["parts"])["surrogate"]["ratio"] == "sequence"
    assert json.loads(details["training"])["prompts"] == 16
    assert record["eval_library"]["additional_details"]["commit"] == provenance["code"]["commit"]
    assert record["source_metadata"]["evaluator_relationship"] == "first_party"
    drawn, *_, greedy = (result["generation_config"] for result in record["evaluation_results"])
    assert drawn["generation_args"].items() >= {"temperature": 1.0, "top_p": 1.0, "max_tokens": 48}.items()
    assert greedy["generation_args"]["temperature"] == 0
    assert json.loads(drawn["additional_details"]["design"]) == {
        "rounds": [256, 1024],
        "stop_after": 32,
        "unscored": ["timeout"],
    }


def test_a_hub_model_and_set_keep_their_names(fresh: Plan) -> None:
    models = {"base-model": {"hub": "some-org/a.model", "revision": "abc"}}
    benchmarks = {"countdown": {"kind": "math-500", "options": {"revision": "0" * 40}}}
    change(fresh, lambda found: found["study"].update(models=models, benchmarks=benchmarks))
    found = records(export(fresh, "my-lab"))
    assert not any(faults(record) for record in found.values())
    (base,) = (record for path, record in found.items() if "/some-org/a.model/" in path)
    assert base["source_metadata"]["evaluator_relationship"] == "third_party"
    assert base["model_info"]["additional_details"]["model_availability"] == "open_weights"
    data = base["evaluation_results"][0]["source_data"]
    assert (data["source_type"], data["samples_number"]) == ("hf_dataset", 4) and "/" in data["hf_repo"]
    assert "0" * 40 in data["additional_details"]["options"]
    assert sum(path.startswith("data/boundary-bench-countdown/my-lab/base-model--grpo--") for path in found) == 4
    card = fresh.root / "export" / "model_cards" / "base-model--grpo--seed0--step2.md"
    assert front_matter(card)["base_model"] == "some-org/a.model"


def test_the_key_of_a_logger_is_not_exported(fresh: Plan) -> None:
    kept = {"actor.adam.eps": 1e-6}
    openrlhf = {"backend": "openrlhf", "openrlhf": {"gpus": 1, "flags": {"logger.wandb.key": "SECRET", **kept}}}
    change(fresh, lambda found: found["study"]["training"].update(openrlhf))
    folder = export(fresh, "my-lab")
    assert not [path for path in folder.rglob("*") if path.is_file() and "SECRET" in path.read_text()]
    record = next(each for path, each in records(folder).items() if "step2" in path)
    training = json.loads(record["model_info"]["additional_details"]["training"])
    assert training["openrlhf"] == {"flags": kept}, "and nothing of how it ran"


# cards


def test_the_hub_reads_the_model_cards(published: Path) -> None:
    from huggingface_hub import ModelCard

    cards = sorted((published / "model_cards").iterdir())
    assert len(cards) == 48
    name = cards[0].stem
    card = ModelCard(cards[0].read_text())
    found = {(each.dataset_name, each.metric_name): each.metric_value for each in card.data.eval_results}
    assert found == {
        (result["evaluation_name"], result["metric_config"]["metric_name"]): result["score_details"]["score"]
        for record in records(published).values()
        for result in record["evaluation_results"]
        if record["model_info"]["name"] == name
    }
    assert card.data.model_name == name and "boundary-bench" in card.data.tags


def test_the_result_card_says_what_the_tables_and_the_ledger_say(published: Path) -> None:
    from huggingface_hub import DatasetCard

    text = (published / "result_card.md").read_text()
    front = front_matter(published / "result_card.md")
    assert DatasetCard(text).data.to_dict() == front
    rows = {
        tuple(row[name] for name in ("algorithm", "seed", "step", "benchmark", "k")): row
        for row in table(PUBLISHED, "differences")
    }
    assert len(front["headline"]) == 12 * 2 * 3
    for told in front["headline"]:
        row = rows[tuple(str(told[name]) for name in ("algorithm", "seed", "step", "benchmark", "k"))]
        numbers = ("base", "checkpoint", "difference", "low", "high")
        assert {name: told[name] for name in numbers} == {name: float(row[name]) for name in numbers}
        assert told["change"] == row["change"] and told["step"] == 160 and told["k"] in (1, 32, 1024)
    judged = ledger(PUBLISHED / "tables")
    verdicts = [str(each.verdict) for each in judged.claims]
    assert {name: front["claims"][name] for name in set(verdicts)} == {name: verdicts.count(name) for name in verdicts}
    assert (front["claims"]["tests"], front["claims"]["decided"]) == (judged.tested, judged.decided)
    row = rows["grpo", "0", "160", "countdown", "1"]
    assert f"| {float(row['difference']):+.3f} [{float(row['low']):+.3f}, {float(row['high']):+.3f}] |" in text
    assert "No success is not impossible" in text and "--config study=quickstart-seeds" in text


# the same every time


def test_the_same_tables_give_the_same_bytes(fresh: Plan, tmp_path: Path) -> None:
    first, second = (export(fresh, "my-lab", tmp_path / name) for name in ("a", "b"))
    export(fresh, "my-lab", second)  # over an earlier one
    files = {path.relative_to(first): path.read_bytes() for path in first.rglob("*") if path.is_file()}
    assert files == {path.relative_to(second): path.read_bytes() for path in second.rglob("*") if path.is_file()}
    assert len(files) == 9 * 2 + 8 + 1


def test_other_samples_give_another_record_and_only_there(fresh: Plan, tmp_path: Path) -> None:
    before = records(export(fresh, "my-lab", tmp_path / "before"))
    change(fresh, lambda found: found["samples_sha256"]["base-model"]["countdown"].update({"greedy.parquet": "other"}))
    after = records(export(fresh, "my-lab", tmp_path / "after"))
    (gone,) = before.keys() - after.keys()
    assert gone.startswith("data/boundary-bench-countdown/my-lab/base-model/")


def test_the_time_is_that_of_the_commit_or_of_the_file(fresh: Plan) -> None:
    def said() -> set[str]:
        return {record["retrieved_timestamp"] for record in records(export(fresh, "my-lab")).values()}

    change(fresh, lambda found: found["code"].update(committed=86400))
    assert said() == {"86400"} and front_matter(fresh.root / "export" / "result_card.md")["date"] == "1970-01-02"
    change(fresh, lambda found: found["code"].update(committed=None))
    assert said() == {str(int((fresh.root / "tables" / "provenance.json").stat().st_mtime))}


# what is missing, damaged or hostile


def change(plan: Plan, how: Callable[[dict[str, Any]], Any]) -> None:
    """Edit the provenance."""
    path = plan.root / "tables" / "provenance.json"
    found = json.loads(path.read_text())
    how(found)
    path.write_text(json.dumps(found))


@pytest.mark.parametrize("name", ["pass_at_k.csv", "summary.csv", "differences.csv", "boundary.csv", "provenance.json"])
def test_a_missing_table_is_named(fresh: Plan, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (fresh.root / "tables" / name).unlink()
    assert main(["export", str(fresh.path), "--results", str(fresh.results)]) == EXIT_USER_ERROR
    said = capsys.readouterr().err
    assert f"{name} is missing; run the" in said and "Traceback" not in said
    assert not (fresh.root / "export").exists()


DAMAGE: dict[str, tuple[Callable[[Plan], Any], str]] = {
    "a policy without weights": (lambda plan: change(plan, lambda f: f["weights_sha256"].popitem()), "weights_sha256"),
    "no samples": (lambda plan: change(plan, lambda f: f["samples_sha256"]["base-model"].clear()), "samples_sha256"),
    "no commit": (lambda plan: change(plan, lambda f: f["code"].update(commit=f"1\n---\n{HOSTILE}")), "code.commit"),
    "no study": (lambda plan: change(plan, lambda f: f["study"].update(sampling=3)), "sampling: Input should be"),
    "another seed": (lambda plan: change(plan, lambda f: f["study"].update(seeds=[0, 7])), "seed7--step2"),
    "no number": (lambda plan: edit(plan.root / "tables" / "pass_at_k.csv", 0, low="nan"), "finite number"),
    "an empty cell": (lambda plan: edit(plan.root / "tables" / "summary.csv", 0, greedy=""), "value of greedy"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_refused_and_named(fresh: Plan, damage: str) -> None:
    export(fresh, "my-lab")
    make, said = DAMAGE[damage]
    make(fresh)
    with pytest.raises(DataError, match=re.escape(said)) as caught:
        export(fresh, "my-lab")
    assert "run the report stage again" in str(caught.value)
    assert records(fresh.root / "export"), "the earlier export stays"


def test_a_cell_of_markup_stays_a_cell(fresh: Plan) -> None:
    edit(fresh.root / "tables" / "boundary.csv", 6, gained=f"|\n---\n{HOSTILE}", leader=HOSTILE)
    edit(fresh.root / "tables" / "differences.csv", 12, change=f"x\n---\n{HOSTILE}", interval=HOSTILE)
    card = export(fresh, "my-lab") / "result_card.md"
    _, front, body = re.split(r"^---$", card.read_text(), maxsplit=2, flags=re.MULTILINE)
    assert "<script" not in body
    changes = {told["change"] for told in yaml.safe_load(front)["headline"]}
    assert changes - {"shrunk", "expanded", "unchanged", "undecided"} <= {f"x\n---\n{HOSTILE}"}


@pytest.mark.parametrize("hub", ["../../evil", "flat", "org/con.x", "data/model", "a/b\nc", "/etc", "org/x."])
def test_a_name_that_is_no_folder_is_refused(fresh: Plan, hub: str) -> None:
    change(fresh, lambda found: found["study"].update(models={"base-model": {"hub": hub, "revision": "abc"}}))
    with pytest.raises(DataError, match="portable folder name"):
        export(fresh, "my-lab")
    assert not (fresh.root / "export").exists()


@pytest.mark.parametrize("organization", ["..", "a/b", "", "NUL", "unknown", "x\n"])
def test_an_organization_that_is_no_folder_is_refused(fresh: Plan, organization: str) -> None:
    with pytest.raises(DataError, match="portable folder name"):
        export(fresh, organization)


def test_folders_of_the_hub_pass() -> None:
    for name in ("Qwen", "Qwen2.5-7B", "meta_llama", "base--grpo--seed0--step20", "console", "7b", "_x"):
        assert FOLDER.fullmatch(name), name


def test_nothing_but_an_earlier_export_is_replaced(fresh: Plan, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    (mine / "model_cards").mkdir(parents=True)
    (mine / "model_cards" / "kept.md").write_text("kept")
    with pytest.raises(DataError, match="no earlier export"):
        export(fresh, "my-lab", mine)
    with pytest.raises(DataError, match="no earlier export"):
        export(fresh, "my-lab", mine / "model_cards" / "kept.md")
    assert (mine / "model_cards" / "kept.md").read_text() == "kept"
    submission = export(fresh, "my-lab", tmp_path / "earlier") / "every_eval_ever" / "submission.md"
    submission.write_text("kept")
    with pytest.raises(DataError, match=r"differing: every_eval_ever/submission\.md"):
        export(fresh, "my-lab", tmp_path / "earlier")
    assert submission.read_text() == "kept"
    (tmp_path / "empty").mkdir()
    assert records(export(fresh, "my-lab", tmp_path / "empty"))
