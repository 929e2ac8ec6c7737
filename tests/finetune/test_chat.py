"""A chat: recorded answers of a model, carried out on the engine; what the model is shown; commands; wrong input."""

from dataclasses import replace
from io import BytesIO, TextIOWrapper
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from data.domain import Domain
from data.load import load_records
from data.record import Record, tool_call
from data.structural.engine import EXAMPLE, state_line
from data.structural.frame_domain import STRUCTURAL
from data.structural.requests.toolsets import offer
from eval.execution import run_sample
from eval.judged import judge
from eval.parse import render_calls
from eval.parsed import ToolCall
from eval.scoring import Sample
from examples.thermostat import Thermostat
from finetune.chat.command import talk, typed
from finetune.chat.dialogue import MOST_STEPS, Chat, Habits, domain_for
from finetune.chat.slash import View, obey
from finetune.cli import app
from tooltune.errors import InputError

NAMES = ["add_nodal_load", "run_static_analysis", "get_displacement", "create_load_case", "set_support", "undo"]
SYSTEM = f"Call the tools.\nModel: {state_line(EXAMPLE)}"
ROW = Record("r", [{"role": "system", "content": SYSTEM}], offer(NAMES, "en"), {"model": EXAMPLE.to_dict()})
ALL = Habits(requests=99, answers_results=False)


def wrote(name: str, /, **arguments) -> str:
    return both(ToolCall(name, arguments))


def both(*calls: ToolCall) -> str:
    return render_calls(calls) + "<|im_end|>"


LOAD = wrote("add_nodal_load", node_id=8, direction="X", value=10)


class Recorded:
    """A model whose answers were recorded, and what it was shown for each."""

    def __init__(self, *outputs: str) -> None:
        self.outputs, self.seen = list(outputs), []

    def __call__(self, turns, tools):
        self.seen.append(turns)
        return judge(self.outputs.pop(0), tools, "hermes")


def chat_with(*outputs: str, habits: Habits = ALL, start: Record = ROW, domain: Domain | None = STRUCTURAL) -> Chat:
    return Chat(Recorded(*outputs), start, habits, domain)


def said(chat: Chat, *requests: str):
    return [step for request in requests for step in chat.request(request)]


def test_five_turns_on_the_engine() -> None:
    chat = chat_with(
        LOAD,
        wrote("run_static_analysis", load_names=["DL"]),
        wrote("get_displacement", node_id=8, component="DX"),
        LOAD,
        wrote("get_displacement", node_id=8, component="DX"),
    )
    requests = ["8번 절점에 X방향 10kN", "run the analysis", "what is the displacement there?", "한 번 더", "변위는?"]
    steps = said(chat, *requests)
    assert [step.results[0]["ok"] for step in steps] == [True] * 5
    first, second = steps[2].results[0]["DX"], steps[4].results[0]["DX"]
    assert first > 0 and second == pytest.approx(2 * first, rel=1e-4)
    assert chat.state_lines()[-2:] == ["load DL: nodal 8 X 10 kN"] * 2
    last = chat.ask.seen[-1]
    assert [turn["content"] for turn in last if turn["role"] == "user"] == requests
    assert last[2]["tool_calls"] == [tool_call("add_nodal_load", {"node_id": 8, "direction": "X", "value": 10})]
    assert last[3] == {
        "role": "tool",
        "name": "add_nodal_load",
        "content": '{"ok": true, "load_case": "DL", "loads": 1}',
    }


def test_the_model_is_shown_the_state_of_now() -> None:
    chat = chat_with(wrote("create_load_case", name="SL", load_type="snow"), LOAD)
    said(chat, "add snow", "10 kN")
    shown = [turns[0]["content"] for turns in chat.ask.seen]
    assert shown[0] == SYSTEM and shown[1] == SYSTEM.replace("EX EY;", "EX EY SL;")
    assert chat.row("r").messages[0]["content"] == SYSTEM, "a row begins with the state before its first request"


@pytest.mark.parametrize("requests", [1, 2, 3])
def test_the_model_is_shown_as_many_requests_as_its_rows_have(requests: int) -> None:
    chat = chat_with(*[LOAD] * 4, habits=Habits(requests, answers_results=False))
    said(chat, "one", "two", "three", "four")
    shown = [turn["content"] for turn in chat.ask.seen[-1] if turn["role"] == "user"]
    assert shown == ["one", "two", "three", "four"][-requests:]


def test_habits_are_those_of_the_rows() -> None:
    def row(roles: str) -> Record:
        names = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
        return Record("", [{"role": names[letter]} for letter in roles], [])

    assert Habits.of([row("sua"), row("suatua"), row("suaua")]) == Habits(2, answers_results=False)
    assert Habits.of([row("ua"), row("uata")]) == Habits(1, answers_results=True)


def test_a_model_that_answers_to_results_is_asked_again() -> None:
    habits = Habits(2, answers_results=True)
    chat = chat_with(LOAD, "10 kN is on node 8.<|im_end|>", habits=habits)
    assert [step.answer.text for step in said(chat, "10 kN")] == ["", "10 kN is on node 8."]
    assert [turn["role"] for turn in chat.row("r").messages] == ["system", "user", "assistant", "tool", "assistant"]
    endless = chat_with(*[LOAD] * 50, habits=habits)
    assert len(said(endless, "10 kN")) == MOST_STEPS
    unheard = chat_with(LOAD, "…", habits=habits, domain=None)
    assert len(said(unheard, "10 kN")) == 1, "there is no result to answer to"


@pytest.mark.parametrize(
    "output",
    [
        wrote("add_nodal_load", node_id=8, direction="W", value=10),
        wrote("add_nodal_load", node_id=8),
        wrote("add_member", start_node=1, end_node=8, section="x"),
        both(ToolCall("undo", {}), ToolCall("move", {"to": 1})),
        LOAD.replace("}\n</tool_call>", ",}\n</tool_call>"),
        '<tool_call>\n{"name": "add_nod',
        wrote("create_load_case", name="\ud800", load_type="snow"),
        "<|im_end|>",
    ],
)
def test_a_wrong_answer_is_not_carried_out_and_forgotten(output: str) -> None:
    chat = chat_with(output, LOAD)
    before = chat.state_lines()
    (step,) = said(chat, "10 kN")
    assert step.results == [] and chat.state_lines() == before and chat.exchanges == []
    said(chat, "again")
    assert [turn["content"] for turn in chat.ask.seen[-1]] == [SYSTEM, "again"]


def test_what_the_domain_refuses_is_a_result_like_another() -> None:
    load = {"node_id": 8, "direction": "X", "value": 10}
    output = both(ToolCall("add_nodal_load", load | {"node_id": 99}), ToolCall("add_nodal_load", load))
    chat = chat_with(output, LOAD)
    (step,) = said(chat, "10 kN")
    assert [result["ok"] for result in step.results] == [False, True] and "no node 99" in step.results[0]["error"]
    said(chat, "again")
    assert '"no_such_node"' in chat.ask.seen[-1][3]["content"]
    assert chat.state_lines()[-2:] == ["load DL: nodal 8 X 10 kN"] * 2


def test_undo_takes_back_request_after_request() -> None:
    pinned = ToolCall("set_support", {"node_ids": [1], "support_type": "pinned"})
    case = ToolCall("create_load_case", {"name": "SL", "load_type": "snow"})
    chat = chat_with(LOAD, "※ 어느 절점인가요?", both(pinned, case))
    states = [chat.state_lines()]
    for request in ("one", "two", "three"):
        said(chat, request)
        states.append(chat.state_lines())
    assert states[1] == states[2] != states[3]
    for request in ("three", "two", "one"):
        assert chat.state_lines() == states.pop() and chat.undo() == request
    assert chat.state_lines() == states.pop() and chat.undo() is None


def test_tools_under_other_names_are_carried_out() -> None:
    tools = [{"type": "function", "function": ROW.tools[0]["function"] | {"name": "joint_load_new"}}]
    renamed = {"joint_load_new": {"name": "add_nodal_load", "parameters": {}}}
    start = replace(ROW, tools=tools, meta=ROW.meta | {"renamed": renamed})
    assert domain_for(start, None) is STRUCTURAL
    chat = chat_with(wrote("joint_load_new", node_id=8, direction="X", value=10), start=start)
    (step,) = said(chat, "10 kN")
    assert step.results[0]["ok"] and chat.state_lines()[-1] == "load DL: nodal 8 X 10 kN"
    assert chat.row("r").meta["renamed"] == renamed


def test_calls_are_carried_out_where_a_domain_knows_all_tools() -> None:
    other = {"type": "function", "function": {"name": "send_mail", "parameters": {}}}
    assert domain_for(ROW, None) is STRUCTURAL
    assert domain_for(replace(ROW, tools=[*ROW.tools, other]), None) is None
    assert domain_for(replace(ROW, meta={}), None) is None
    assert domain_for(ROW, Thermostat()) is None


def test_a_row_without_a_state_is_refused() -> None:
    with pytest.raises(InputError, match="no frame") as e:
        chat_with(start=replace(ROW, meta={}))
    assert e.value.where == ROW.id and "--no-execute" in e.value.fix


def test_without_a_domain_calls_are_shown() -> None:
    chat = chat_with(LOAD, LOAD, domain=None)
    (first, _) = said(chat, "one", "two")
    assert first.answer.accepted and first.results == [] and chat.state_lines() == []
    assert [turn["role"] for turn in chat.ask.seen[-1]] == ["system", "user", "assistant", "user"]


def test_a_saved_conversation_is_a_row_that_trains_and_is_scored(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    chat = chat_with(LOAD, wrote("set_support", node_ids=[1], support_type="pinned"))
    said(chat, "8번 절점에 X방향 10kN")
    assert "added to" in str(obey(chat, View(), f"/save {file}")[0])
    said(chat, "pin node 1")
    obey(chat, View(), f"/save {file}")
    first, second = load_records(file)
    assert first.id != second.id and len(first.messages) == 3
    assert second.gold == [{"name": "set_support", "arguments": {"node_ids": [1], "support_type": "pinned"}}]
    sample = Sample("x", second.gold, second.tools, wrote("set_support", node_ids=[1], support_type="pinned"))
    assert run_sample(STRUCTURAL, second, sample) == "strict"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("/sav x", "no command /sav"),
        ("/", "no command /"),
        ("/undo2", "no command"),
        ("/save", "needs a file"),
        ("/save mine.jsonl", "no answer to save"),
    ],
)
def test_wrong_commands_say_what_to_do(line: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as e:
        obey(chat_with(), View(), line)
    assert e.value.fix


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    chat = chat_with(LOAD)
    said(chat, "10 kN")
    for file in (tmp_path, tmp_path / "none" / "x.jsonl"):
        with pytest.raises(InputError, match="cannot be written") as e:
            obey(chat, View(), f"/save {file}")
        assert e.value.where == str(file)


def test_a_script_is_answered_line_by_line() -> None:
    shown: list[str] = []
    lines = ["/tools", "10 kN", "/raw", "where?", "/undo", "/model", "/quit", "never asked"]
    chat = chat_with(LOAD, "※ 어느 절점의 변위인가요?\x1b[2J<|im_end|>")
    talk(chat, View(), iter(lines), shown.append, interactive=False)
    text = "\n".join(shown)
    assert shown[0].startswith("add_nodal_load(node_id: int, direction: X|Y|Z, value: num")
    assert shown[1].split("\n") == [
        'add_nodal_load(node_id=8, direction="X", value=10)  ✓ valid',
        '  → {"ok": true, "load_case": "DL", "loads": 1}',
    ]
    assert shown[2] == "  + load DL: nodal 8 X 10 kN" and "raw output: shown" in shown[3]
    assert "  raw: ※ 어느" in text and "\x1b" not in text and "taken back: where?" in text
    assert shown[-1].startswith("Y = 0 m") and len(chat.ask.outputs) == 0


def test_a_wrong_answer_is_told_in_the_chat() -> None:
    shown: list[str] = []
    talk(chat_with(wrote("add_nodal_load", node_id=8)), View(), iter(["10 kN"]), shown.append, interactive=False)
    assert "✗" in shown[0] and "not carried out" in shown[0]


def test_an_empty_answer_is_told() -> None:
    shown: list[str] = []
    talk(chat_with("<|im_end|>"), View(), iter(["10 kN"]), shown.append, interactive=False)
    assert shown == ["the answer is empty"]


@pytest.mark.parametrize("answers_results", [False, True])
def test_ctrl_c_stops_an_answer_and_not_the_chat(answers_results: bool) -> None:
    """Of a request whose calls were carried out and whose second answer is stopped, the calls stay."""
    shown: list[str] = []
    chat = chat_with(LOAD, habits=Habits(9, answers_results=answers_results))
    recorded = chat.ask

    def ask(turns, tools):
        if not recorded.outputs or turns[-1]["content"] == "stop":
            raise KeyboardInterrupt
        return recorded(turns, tools)

    chat.ask = ask
    talk(chat, View(), iter(["stop", "10 kN"]), shown.append, interactive=True)
    assert shown[0] == "  stopped, and the request forgotten" and chat.state_lines()[-1] == "load DL: nodal 8 X 10 kN"
    assert ("  stopped; /undo takes back what was carried out" in shown) == answers_results
    with pytest.raises(KeyboardInterrupt):
        talk(chat, View(), iter(["stop"]), shown.append, interactive=False)


def test_ctrl_c_while_a_call_is_carried_out_takes_the_request_back() -> None:
    chat, shown = chat_with(LOAD, LOAD), []
    said(chat, "10 kN")
    before = chat.state_lines()

    def stopped(call):
        raise KeyboardInterrupt

    chat.live.carry_out = stopped
    talk(chat, View(), iter(["again"]), shown.append, interactive=True)
    assert (
        shown == ["  stopped, and the request forgotten"] and chat.state_lines() == before and len(chat.exchanges) == 1
    )


def test_ctrl_c_at_the_prompt_ends_the_chat_once_it_has_said_what_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here "^C" stands for it."""
    keys, shown = ["^C", "10 kN\n", "^C", f"/save {tmp_path / 'mine.jsonl'}\n", "again\n", "^C", "^C", "never\n"], []

    def readline() -> str:
        if (key := keys.pop(0)) == "^C":
            raise KeyboardInterrupt
        return key

    monkeypatch.setattr("sys.stdin", SimpleNamespace(readline=readline))

    def type_at(chat: Chat) -> None:
        lines = typed(chat, "en", lambda text, end="": shown.append(text), interactive=True)
        talk(chat, View(), lines, lambda text: None, interactive=True)

    chat = chat_with(LOAD, LOAD)
    type_at(chat)
    assert keys[0] == "10 kN\n" and shown == ["> ", ""], "nothing was asked yet"
    type_at(chat)
    told = [line for line in shown if "not saved" in line]
    assert told == ["requests that are not saved: 1. /save FILE keeps them, Ctrl-C again ends"] * 2
    assert keys == ["never\n"] and len(load_records(tmp_path / "mine.jsonl")) == 1


def test_a_pipe_is_read_as_ask_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(b"\xef\xbb\xbf/tools\n\xff\n"), encoding="utf-8"))
    lines = typed(chat_with(), "en", lambda *_: None, interactive=False)
    assert next(lines) == "/tools"
    with pytest.raises(InputError, match="line 2"):
        next(lines)


def test_a_wrong_command_stops_a_script_and_not_a_person() -> None:
    shown: list[str] = []
    with pytest.raises(InputError, match="no command /mode"):
        talk(chat_with(LOAD), View(), iter(["/mode", "10 kN"]), shown.append, interactive=False)
    talk(chat_with(LOAD), View(), iter(["/mode", "10 kN"]), shown.append, interactive=True)
    assert shown[0].startswith("error: no command /mode") and "✓ valid" in shown[1]


@pytest.mark.parametrize("value", [float("nan"), {1}, b"a"])
def test_a_result_that_is_no_json_is_told_and_its_request_taken_back(value: object) -> None:
    chat = chat_with(LOAD, LOAD)
    said(chat, "10 kN")
    before, shown = chat.state_lines(), []
    chat.live.carry_out = lambda call: {"ok": True, "value": value}
    talk(chat, View(), iter(["again"]), shown.append, interactive=True)
    assert shown[0].startswith("error: add_nodal_load: the domain's result is not JSON") and "→" in shown[0]
    assert chat.state_lines() == before and [exchange.turns[0]["content"] for exchange in chat.exchanges] == ["10 kN"]


def test_llama_cpp_and_constrained_decoding_exclude_each_other() -> None:
    """Said before the run is looked for."""
    done = CliRunner().invoke(app, ["chat", "no-such-run", "--llama", "--constrained"])
    assert done.exit_code == 2 and "llama.cpp writes without the schemas" in done.output
