"""What the check finds, that it finds nothing in good files, and how it says so."""

import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data.check import check_files
from data.check.leaks import near_pairs
from data.commands import app
from data.overlap import normalised
from examples import from_spreadsheet
from tooltune.embedded import converted

HERE = Path(__file__).parent / "formats"
STRUCTURAL = Path(__file__).parent.parent.parent / "data" / "structural"
SPLITS = [STRUCTURAL / f"{name}.jsonl" for name in ("train", "validation", "test")]
TOOL = {"name": "f", "description": "", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}}}


def row(number, said="", answer=None, tools=None, **meta):
    """A record that calls f(x=number), or answers with a text."""
    call = {"type": "function", "function": {"name": "f", "arguments": {"x": number}}}
    last = {"role": "assistant", "content": answer} if answer else {"role": "assistant", "tool_calls": [call]}
    messages = [{"role": "user", "content": said or f"{number}번 요청"}, last]
    tools = [{"type": "function", "function": TOOL}] if tools is None else tools
    return {"id": str(number), "messages": messages, "tools": tools, "meta": meta}


def write(path, rows):
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
    return path


def found(report, words):
    (hit,) = [finding for finding in report.findings if words in str(finding.what)]
    return replace(hit, examples=list(map(str, hit.examples)), fix=str(hit.fix))


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_good_files_have_no_findings():
    for path in sorted(HERE.glob("*.json*")):
        report = check_files([path], tokenizer="none")
        assert not report.errors, path
        found = {str(f.what) for f in report.findings if f.level != "note"}
        assert found <= {"no tools are offered"}, (path, report.findings)


def test_a_file_whose_calls_all_stand_in_the_text_is_not_fit(tmp_path):
    text = '{"name": "f", "arguments": {"x": 1}}'
    wrong = check_files([write(tmp_path / "a.jsonl", [row(n, answer=text) for n in range(3)])], tokenizer="none")
    assert found(wrong, "a call is written in the text").level == "error"
    mixed = check_files([write(tmp_path / "b.jsonl", [row(0, answer=text), row(1)])], tokenizer="none")
    assert not mixed.errors and found(mixed, "a call is written in the text").count == 1


def test_rows_of_a_spreadsheet_are_fit_and_a_wrong_cell_is_named(tmp_path):
    sheet = tmp_path / "requests.csv"
    call = json.dumps({"name": "f", "arguments": {"x": 3}}).replace('"', '""')
    sheet.write_text(f'요청,호출,답\n"3번, 지금","{call}",\n몇 번?,,※ 번호를 알려 주세요.\n,,\n', encoding="utf-8-sig")
    tools = [{"type": "function", "function": TOOL}]
    made = list(from_spreadsheet.rows(sheet, tools))
    assert not check_files([write(tmp_path / "mine.jsonl", made)], tokenizer="none").errors
    assert made[0]["messages"][1]["tool_calls"][0]["function"] == {"name": "f", "arguments": {"x": 3}}
    assert [made[1]["id"], made[1]["messages"][1]["content"]] == ["r3", "※ 번호를 알려 주세요."] and len(made) == 2
    for text, encoding, words in (
        ("요청,호출\n가,{“name”: 1}\n", "utf-8", "row 2: the calls are not JSON"),
        ("질문,호출\n가,나\n", "utf-8", "head the columns"),
        ("요청,호출\n가,나\n", "cp949", "CSV UTF-8"),
    ):
        sheet.write_text(text, encoding=encoding)
        with pytest.raises(SystemExit, match=words):
            list(from_spreadsheet.rows(sheet, tools))
    with pytest.raises(SystemExit, match="check the path"):
        list(from_spreadsheet.rows(tmp_path / "none", tools))


@pytest.mark.slow
def test_the_structural_dataset_is_fit():
    report = check_files(SPLITS, tokenizer="none")
    assert not any("make no call" in str(finding.what) for finding in report.findings)
    assert not report.errors
    assert sum(file["records"] for file in report.files) == 2500
    assert report.buckets[str(SPLITS[2])]["T4"] == 30


def test_the_same_request_in_two_splits_is_an_error(tmp_path):
    one = write(tmp_path / "a.jsonl", [row(1, "절점 3을 지워 줘"), row(2)])
    other = write(tmp_path / "b.jsonl", [row(3, "절점3을  지워줘"), row(4)])
    hit = found(check_files([one, other], "none"), "same request in two splits")
    assert (hit.level, hit.count) == ("error", 1)
    assert f"{other}:1 = {one}:1" in hit.examples[0] and "절점3을" in hit.examples[0]


def test_splits_of_one_file_are_those_its_rows_name(tmp_path):
    rows = [row(1, "절점 3을 지워 줘", split="train"), row(2, "절점 3을 지워 줘", split="test")]
    assert found(check_files([write(tmp_path / "a.jsonl", rows)], "none"), "two splits").level == "error"
    rows[1]["meta"]["split"] = "train"
    assert not check_files([write(tmp_path / "a.jsonl", rows)], "none").errors


def test_nearly_the_same_request_in_two_splits(tmp_path):
    said = "3층 바닥 전체에 고정하중 2.5를 아래로 재하하고 풍하중은 그대로 둔 다음 결과를 보여 주십시오"
    one = write(tmp_path / "a.jsonl", [row(1, said)])
    other = write(tmp_path / "b.jsonl", [row(2, said.replace("2.5", "2.7")), row(3, "완전히 다른 요청입니다")])
    hit = found(check_files([one, other], "none"), "nearly the same")
    assert hit.count == 1 and hit.examples[0].startswith(f"{other}:1")


def test_near_pairs_are_those_of_the_plain_definition():
    rng = random.Random(3)
    base = ["".join(rng.choice("가나다라마바사 1234") for _ in range(40)) for _ in range(12)]
    texts = [normalised(t) for t in base]
    for text in base * 4:
        at = rng.randrange(len(text))
        texts.append(
            normalised(text[:at] + "".join(rng.choice("가나다") for _ in range(rng.randint(0, 5))) + text[at + 2 :])
        )
    splits = ["train"] * 12 + ["test"] * (len(texts) - 12)
    grams = [frozenset(t[i : i + 3] for i in range(len(t) - 2)) for t in texts]
    pairs = {(i, j) for i in range(12, len(texts)) for j in range(12) if _jaccard(grams[i], grams[j]) > 0.8}
    assert {i for i, _ in pairs} == {i for i, _, _ in near_pairs(texts, splits)}
    assert 5 < len(pairs) < len(texts) - 12  # some are near and some are not


def test_near_pairs_at_the_edge():
    short, longer = "가나다라마바사아자차", "가나다라마바사아자차카"  # 8 of 9 3-grams shared, the odd one is the rarest
    assert [pair[:2] for pair in near_pairs([short, longer], ["train", "test"])] == [(1, 0)]
    assert [pair[:2] for pair in near_pairs([short, longer, longer], ["train", "test", "test"])] == [(1, 0), (2, 0)]
    assert list(near_pairs([short, "전혀다른문장입니다", longer], ["test", "train", "test"])) == []


def _jaccard(one, other):
    return len(one & other) / len(one | other)


def test_the_same_calls_for_the_same_state_in_two_splits(tmp_path):
    one, other = write(tmp_path / "a.jsonl", [row(1)]), write(tmp_path / "b.jsonl", [row(1, "전혀 다른 말")])
    assert found(check_files([one, other], "none"), "same calls").level == "warning"


def test_repeats_and_contradictions_within_a_file(tmp_path):
    rows = [row(1, "같은 말"), row(2, "같은  말"), row(3, "x"), row(3, "x")]
    rows[3]["id"] = "4"
    report = check_files([write(tmp_path / "a.jsonl", rows)], "none")
    assert found(report, "answered differently").examples == [f"{tmp_path}/a.jsonl:2 = {tmp_path}/a.jsonl:1"]
    assert found(report, "the same row twice").count == 1


def test_rejected_rows_are_errors_grouped_by_reason(tmp_path):
    rows = [row(n) for n in range(10)]
    for n in range(3, 10):
        rows[n]["messages"][1]["tool_calls"][0]["function"]["name"] = f"g{n}"
    del rows[0]["messages"]
    rows[1]["messages"][1]["tool_calls"][0]["function"]["arguments"] = '{"x": 1}'
    rows[2]["messages"][1]["tool_calls"][0]["function"]["arguments"] = {"x": "one"}
    path = write(tmp_path / "a.jsonl", rows)
    report = check_files([path], "none")
    assert report.files[0]["rejected"] == 10
    offered = found(report, "is not among the tools")
    assert (offered.level, offered.count, len(offered.examples)) == ("error", 7, 5)
    assert offered.examples[0].startswith(f"{path}:4 messages[1]: the call 'g3'")
    assert "convert" in found(report, "must be a JSON object").fix
    assert "'one' is not of type 'integer'" in found(report, "do not match its schema").examples[0]


def test_label_problems(tmp_path):
    blank, null, text, lost = (
        row(1, answer=" "),
        row(2),
        row(3, answer='<tool_call>{"name": "f"}'),
        row(4, answer="모�름"),
    )
    null["messages"][1]["tool_calls"][0]["function"]["arguments"] = {"x": 2, "y": {"z": None}}
    open_, alone = row(5), row(6, answer="네")
    open_["messages"] += [{"role": "user", "content": "또"}, {"role": "assistant", "content": "네"}]
    alone["messages"].insert(1, {"role": "tool", "content": "1"})
    unoffered = row(7, answer="아니요", tools=[])
    spaced, more = (json.loads(json.dumps(row(n))) for n in (8, 9))
    more["messages"][1]["tool_calls"][0]["function"]["arguments"]["zone"] = 1
    for named in (spaced["tools"][0], spaced["messages"][1]["tool_calls"][0]):
        named["function"]["name"] = "check crack"
    path = write(tmp_path / "a.jsonl", [blank, null, text, lost, open_, alone, unoffered, spaced, more])
    report = check_files([path], "none")
    expected = {
        "spaces only": 1,
        "is null": 2,
        "in the text": 3,
        "lost": 4,
        "without a result": 5,
        "without a call before": 6,
        "no tools": 7,
        "not every call syntax": 8,
    }
    for words, line in expected.items():
        hit = found(report, words)
        assert hit.count == 1 and hit.examples[0].startswith(f"{path}:{line}"), words
    assert [e.split(": ")[1] for e in found(report, "does not declare").examples] == ["f 'y'", "f 'zone'"]
    assert [str(f.what) for f in report.errors] == ["an answer of spaces only"]


def test_one_answer_for_many_rows(tmp_path):
    rows = [row(n, answer="어느 절점입니까?" if n < 6 else f"{n}번은 없습니다.") for n in range(20)]
    hit = found(check_files([write(tmp_path / "a.jsonl", rows)], "none"), "have one answer")
    assert hit.count == 6 and "30%" in str(hit.what)
    rows = [row(n, answer="어느 절점입니까?" if n < 4 else f"{n}번은 없습니다.") for n in range(20)]
    assert not check_files([write(tmp_path / "a.jsonl", rows)], "none").findings


def test_what_is_out_of_balance(tmp_path):
    names = ["f", "g", "h"]
    tools = [{"type": "function", "function": TOOL | {"name": name}} for name in names]
    report = check_files([write(tmp_path / "a.jsonl", [row(n, tools=tools) for n in range(30)])], "none")
    assert found(report, "0% of the rows make no call") and found(report, "first of the list")
    shuffled = [row(n, tools=tools[n % 3 :] + tools[: n % 3], answer=None if n % 4 else f"{n}") for n in range(30)]
    assert not check_files([write(tmp_path / "b.jsonl", shuffled)], "none").findings


@pytest.mark.parametrize(("silent", "said"), [(14, ["14%"]), (15, [])])
def test_few_rows_without_a_call_among_those_that_train(tmp_path, silent, said):
    """The largest file trains."""
    train = write(tmp_path / "a.jsonl", [row(n, answer=f"{n}?" if n < silent else None) for n in range(100)])
    other = write(tmp_path / "b.jsonl", [row(n, answer=f"{n}!") for n in range(200, 290)])
    findings = [str(finding.what) for finding in check_files([other, train], "none").findings]
    assert [what[:3] for what in findings if "no call" in what] == said


def test_exit_codes_and_json(tmp_path):
    good = run("check", HERE / "records.jsonl", "--tokenizer", "none", "--json")
    assert good.exit_code == 0
    report = json.loads(good.stdout)
    assert report["ok"] and report["tools"] == {"get_weather": 4, "send_message": 1}
    assert report["files"][0]["format"] == "records"
    bad = write(tmp_path / "a.jsonl", [row(1), row(1)])
    assert run("check", bad, "--tokenizer", "none").exit_code == 2
    missing = run("check", tmp_path / "none.jsonl")
    assert missing.exit_code == 2 and "no such file" in missing.stderr and "Traceback" not in missing.output


def test_the_summary_names_format_counts_and_places(tmp_path):
    path = write(tmp_path / "나의.jsonl", [row(1, answer="모�름"), row(1)])
    shown = run("check", path, "--tokenizer", "none").stdout
    for words in ("records", "rejected", f"{path}:1: 모�름", f"{path}:2", "the id '1' is on line 1 already", "Not fit"):
        assert words in shown, shown


def test_convert_on_the_command_line(tmp_path):
    out = tmp_path / "out.jsonl"
    done = run("convert", HERE / "hermes.jsonl", "--to", "records", "--out", out)
    assert done.exit_code == 0 and "Hermes, 5 rows" in done.stdout
    assert len(out.read_text(encoding="utf-8").splitlines()) == 5
    assert run("convert", HERE / "hermes.jsonl", "--to", "alpaca").exit_code == 2
    bad = write(tmp_path / "a.jsonl", [row(1), row(2, tools=[])])
    assert run("convert", bad, "--strict").exit_code == 2
    aside = run("convert", bad)
    assert aside.exit_code == 0 and "1 rejected" in aside.stdout and f"{bad}:2" in aside.stdout
    korean = run("convert", bad, "--lang", "ko").stdout
    assert "레코드 1개" in korean and "거부 1행" in korean and "messages[1]: 'f' 호출이" in korean


def test_help_needs_no_heavy_library():
    code = "import sys, data.commands, data.check, data.convert; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    done = subprocess.run([sys.executable, "-m", "data", "--help"], capture_output=True, text=True, check=True)
    assert all(command in done.stdout for command in ("build", "check", "convert"))


@pytest.mark.skipif(not converted(), reason="the embedded model is not converted yet")
def test_lengths_in_tokens():
    said = []
    tokens = check_files([HERE / "records.jsonl"], say=said.append).tokens
    assert list(map(str, said)) == ["Counting tokens …"]
    assert tokens and tokens.tokenizer == "embedded"
    for style in tokens.styles.values():
        assert 0 < style["median"] <= style["p95"] <= style["longest"] and style["over"][4096] == 0
    assert tokens.styles["signature"]["median"] < tokens.styles["json"]["median"]


def test_a_file_given_twice_is_said(tmp_path, monkeypatch):
    path = write(tmp_path / "a.jsonl", [row(1), row(2)])
    monkeypatch.chdir(tmp_path)
    said = []
    report = check_files([path, Path("a.jsonl"), path], "none", said.append)
    assert [file["path"] for file in report.files] == [str(path)]
    assert [str(line) for line in said] == [f"{path} is given twice and checked once"]


@pytest.mark.parametrize(
    ("lang", "says"),
    [
        ("en", ["Files", "Kinds of errors: 1; kinds", "error an answer of spaces only", "→ write the answer"]),
        ("ko", ["파일", "학습할 수 없습니다. 오류 1종류", "오류 공백뿐인 답", "→ 답을 적거나"]),
    ],
)
def test_the_report_is_in_the_language_asked_for(tmp_path, lang, says):
    path = write(tmp_path / "a.jsonl", [row(1, answer=" "), row(2)])
    printed = CliRunner().invoke(app, ["check", str(path), "--tokenizer", "none", "--lang", lang]).stdout
    assert [words for words in says if words not in printed] == []


def test_a_file_that_was_cut_off_is_broken_before_it_is_unknown(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"version": 1}, {"data": [{"id"', encoding="utf-8")
    done = CliRunner().invoke(app, ["check", str(path)])
    assert done.exit_code == 2 and "a.json:1: the rest of the file is not JSON" in done.stderr
