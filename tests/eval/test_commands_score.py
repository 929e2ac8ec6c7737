"""`score` and `compare` as a user meets them: files in, tables and JSON out, errors in two lines."""

import json

import pytest
from typer.testing import CliRunner

from eval.cli import app
from eval.compare_runs import verdict
from eval.outputs import read_outputs
from eval.scoring import score

BARE = {"name": "add_load", "parameters": {"type": "object", "properties": {"node": {"type": "integer"}}}}
TOOLS = [{"type": "function", "function": {"description": "", **BARE}}]
GOLD = [{"name": "add_load", "arguments": {"node": 1}}]


def block(node):
    return f'<tool_call>\n{{"name": "add_load", "arguments": {{"node": {node}}}}}\n</tool_call>'


def write(path, value):
    text = "\n".join(json.dumps(v) for v in value) if path.suffix == ".jsonl" else json.dumps(value)
    path.write_text(text + "\n", encoding="utf-8")
    return str(path)


def call(*arguments):
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def rows():
    return [{"id": f"r{i}", "output": block(i), "gold": GOLD} for i in (1, 2)]


@pytest.mark.parametrize("form", [TOOLS, [BARE], {"tools": [BARE]}, json.dumps(TOOLS)])
def test_score_reads_tools_in_any_form_and_writes_json(tmp_path, rows, form):
    files = write(tmp_path / "o.jsonl", rows), "--tools", write(tmp_path / "t.json", form)
    code, out, _ = call("score", *files, "--json")
    assert code == 0 and json.loads(out)["headline"]["exact_match"]["count"] == 1
    code, out, _ = call("score", *files)
    assert code == 0 and "Exact Match" in out and "50.0%" in out


def test_a_row_may_bring_its_own_tools_and_openai_calls(tmp_path, rows):
    wrapped = [{"type": "function", "function": {"name": "go", "arguments": '{"to": "왼쪽"}'}}]
    go = {"name": "go", "parameters": {"type": "object", "properties": {"to": {"type": "string"}}}}
    said = '<tool_call>\n{"name": "go", "arguments": {"to": "왼쪽"}}\n</tool_call>'
    rows.append({"id": 3, "output": said, "gold": wrapped, "tools": [go], "truncated": True})
    rows.append({"id": 4, "output": "어느 절점인가요?", "gold": []})
    samples = read_outputs(tmp_path / write(tmp_path / "o.jsonl", rows), TOOLS)
    verdicts = {s["id"]: s for s in score(samples)["samples"]}
    assert [i for i, s in verdicts.items() if s["strict"]["exact_match"]] == ["r1", "3", "4"]
    assert verdicts["3"]["truncated"] and not verdicts["r1"]["truncated"]


def test_family_decides_how_outputs_are_read(tmp_path, rows):
    rows = [r | {"output": '{"name": "add_load", "parameters": {"node": 1}}'} for r in rows]
    files = "score", write(tmp_path / "o.jsonl", rows), "--tools", write(tmp_path / "t.json", TOOLS), "--json"
    counts = [json.loads(call(*files, *more)[1])["headline"]["exact_match"]["count"] for more in ((), FAMILY)]
    assert counts == [0, 2]


def test_gold_that_breaks_its_schema_is_counted_on_the_error_stream(tmp_path, rows):
    rows[0] |= {"gold": [{"name": "add_load", "arguments": {"node": {"any_of": [1, "one"]}}}]}
    rows[1] |= {"meta": {"acceptable": {"add_load": {"node": [2, 3]}}}}
    files = write(tmp_path / "o.jsonl", rows), "--tools", write(tmp_path / "t.json", TOOLS), "--json"
    code, out, err = call("score", *files)
    assert code == 0 and json.loads(out)["n"] == 2
    assert "warning: 1 gold calls" in err and "row r1: add_load: node: 'one' is not of type 'integer'" in err


FAMILY = ("--family", "llama3_json")


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        ({"output": None}, "o.jsonl:2", '"output" must be text'),
        ({"gold": {"name": "add_load"}}, "o.jsonl:2", '"gold" must be a list'),
        ({"gold": [{"name": "add_load", "arguments": "{"}]}, "o.jsonl:2", "the arguments of 'add_load' cannot be read"),
        ({"gold": [{"name": "add_load", "kwargs": {"node": 2}}]}, "o.jsonl:2", "has no `arguments` but kwargs"),
        ({"truncated": "length"}, "o.jsonl:2", '"truncated" must be true or false'),
        ({"gold": [{"name": "fly", "arguments": {}}]}, "o.jsonl:2", "'fly', which is not among the tools"),
        ({"tools": [{"nome": "x"}]}, "o.jsonl:2", "tools[0]"),
        ({"id": "r1"}, "", "'r1' is there twice"),
    ],
)
def test_score_says_what_is_wrong_with_a_row(tmp_path, rows, change, where, what):
    rows[1] |= change
    files = write(tmp_path / "o.jsonl", rows), "--tools", write(tmp_path / "t.json", TOOLS)
    code, out, err = call("score", *files)
    assert code == 2 and where in err and what in err and "Traceback" not in err and not out


@pytest.mark.parametrize("key", ["arguments", "parameters", "args", "input"])
def test_gold_calls_are_read_as_those_of_rows(tmp_path, key):
    path = tmp_path / "o.jsonl"
    write(path, [{"id": "a", "output": "", "gold": [{"name": "add_load", key: '{"node": 2}'}], "tools": TOOLS}])
    (sample,) = read_outputs(path)
    assert sample.gold == [{"name": "add_load", "arguments": {"node": 2}}]


def test_score_says_what_is_missing(tmp_path, rows):
    file = write(tmp_path / "o.jsonl", rows)
    assert "which tools were offered" in call("score", file)[2]
    assert call("score", tmp_path / "none.jsonl")[0] == 2
    assert "no such file" in call("score", file, "--tools", tmp_path / "none.json")[2]
    assert (
        "did you mean 'hermes'" in call("score", file, "--tools", write(tmp_path / "t", TOOLS), "--family", "herms")[2]
    )
    assert "no rows" in call("score", write(tmp_path / "e.jsonl", []), "--tools", write(tmp_path / "t", TOOLS))[2]
    del rows[0]["gold"]
    assert 'o.jsonl:1: the row has no "gold"' in call("score", write(tmp_path / "o.jsonl", rows))[2]


def answers(right, n=12):
    """Rows of which the first `right` rows are right."""
    return [{"id": f"r{i}", "output": block(1 if i < right else 2), "gold": GOLD} for i in range(n)]


@pytest.fixture
def results(tmp_path):
    """Two `score --json` files, 2 and 11 of 12 right, and a metrics.json with both."""
    made = {}
    for name, right in (("base", 2), ("tuned", 11)):
        made[name] = score(read_outputs(tmp_path / write(tmp_path / "o.jsonl", answers(right)), TOOLS))
        write(tmp_path / f"{name}.json", made[name])
    write(tmp_path / "metrics.json", {"run": "x", **made})
    return tmp_path


def test_compare_two_files_and_one_evaluation(results):
    two = call("compare", results / "base.json", results / "tuned.json", "--json")
    one = call("compare", results / "metrics.json", "--json")
    folder = call("compare", results, "--json")
    assert two[0] == one[0] == folder[0] == 0
    found = json.loads(one[1])
    assert (found["a"], found["b"], found["n"]) == ("base", "tuned", 12)
    pair = found["exact_match"]
    assert (pair["only_a"], pair["only_b"], pair["both"], pair["neither"]) == (0, 9, 2, 1)
    assert pair["p_value"] == pytest.approx(2 / 2**9)
    assert json.loads(two[1])["exact_match"] == json.loads(folder[1])["exact_match"] == pair


def test_compare_with_samples_of_another_version(results):
    for base in ("x", {"samples": [{}]}):
        file = write(results / "metrics.json", json.loads((results / "metrics.json").read_text()) | {"base": base})
        code, _, err = call("compare", file)
        assert code == 2 and "not those of a run" in err


def test_compare_says_it_in_words(results):
    code, out, _ = call("compare", results)
    text = " ".join(out.split())
    assert code == 0 and "tuned is better than base: equally good models would differ so much in 4 of 1,000" in text
    assert "Both are right on the same rows." in text, "the tool's name is right everywhere"


def test_compare_takes_execution_where_both_were_carried_out(results):
    assert "execution" not in json.loads(call("compare", results, "--json")[1])
    metrics = json.loads((results / "metrics.json").read_text(encoding="utf-8"))
    ran = {"base": ["different", "refused", "strict", "no_call"], "tuned": ["strict", "summed", "strict", "strict"]}
    outcomes = {name: {"samples": {f"r{i}": word for i, word in enumerate(words)}} for name, words in ran.items()}
    write(results / "metrics.json", metrics | {"execution": outcomes})
    pair = json.loads(call("compare", results, "--json")[1])["execution"]
    assert pair["a"]["count"] == 1 and pair["b"]["count"] == 3 and pair["a"]["n"] == 4
    assert (pair["only_a"], pair["only_b"], pair["both"], pair["neither"]) == (0, 2, 1, 1)
    text = " ".join(call("compare", results)[1].split())
    assert "Execution Accuracy: 2 rows set them apart" in text
    del outcomes["base"]["samples"]["r3"]
    write(results / "metrics.json", metrics | {"execution": outcomes})
    assert "execution" not in json.loads(call("compare", results, "--json")[1])


def test_compare_two_runs_by_name(results, monkeypatch):
    monkeypatch.setenv("TOOLTUNE_RUNS", str(results / "runs"))
    for name, source in (("one", "base"), ("two", "tuned")):
        folder = results / "runs" / name / "eval" / "test"
        folder.mkdir(parents=True)
        (results / "runs" / name / "config.yaml").write_text("{}")
        tuned = json.loads((results / f"{source}.json").read_text(encoding="utf-8"))
        write(folder / "metrics.json", {"tuned": tuned, "base": None})
    code, out, _ = call("compare", "one", "two", "--json")
    assert code == 0 and json.loads(out)["exact_match"]["only_b"] == 9
    assert "not evaluated on validation" in call("compare", "one", "two", "--split", "validation")[2]
    assert "only one model was evaluated" in call("compare", "one")[2]
    assert "no run 'three'" in call("compare", "one", "three")[2]


def test_compare_refuses_what_is_no_pair(results):
    write(results / "short.json", score(read_outputs(results / write(results / "o.jsonl", answers(2, 11)), TOOLS)))
    code, _, err = call("compare", results / "base.json", results / "short.json")
    assert code == 2 and "not scored on the same samples" in err
    for wrong in ([], {"tuned": 1}, {"samples": 1}):
        code, _, err = call("compare", write(results / "wrong.json", wrong), results / "base.json")
        assert code == 2 and "this is not an evaluation" in err
    (results / "wrong.json").write_text("{")
    assert "cannot be read as JSON" in call("compare", results / "wrong.json", results / "base.json")[2]


@pytest.mark.parametrize(
    ("only_a", "only_b", "p", "says"),
    [
        (0, 0, 1.0, "Both are right on the same rows"),
        (3, 4, 1.0, "proves nothing: equally good models would differ so much in 100 of 100"),
        (9, 1, 0.021, "a is better than b: equally good models would differ so much in 2 of 100"),
        (1, 40, 1e-9, "b is better than a: equally good models would differ so much in fewer than 1 of 1,000"),
    ],
)
def test_verdict(only_a, only_b, p, says):
    assert says in str(verdict({"only_a": only_a, "only_b": only_b, "p_value": p}, "a", "b"))


def test_a_folder_where_a_file_is_wanted(tmp_path, rows):
    outputs = write(tmp_path / "o.jsonl", rows)
    code, _, error = call("score", outputs, "--tools", tmp_path)
    assert code == 2 and "cannot be read as a file" in error and "name a file with a JSON list" in error
    code, _, error = call("score", tmp_path)
    assert code == 2 and "cannot be read as a file" in error and "check the path" in error
