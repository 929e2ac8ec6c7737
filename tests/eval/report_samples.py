"""Made-up answers for the report's tests: plausible ones to real rows, and hostile ones to hostile rows."""

import json

from data import Record
from eval import ToolCall, compare, score
from eval.execution import execution_accuracy
from eval.generate import Output
from eval.parse import render_calls
from eval.scoring import Sample

END = "<|im_end|>"


def hermes(*calls):
    return render_calls([ToolCall(c["name"], c["arguments"]) for c in calls]) + END


def answers(record: Record, i: int, clumsy: bool) -> Output:
    """A plausible answer: mostly right when tuned, mostly wrong in the ways of an untrained model when `clumsy`."""
    gold = [dict(call) for call in record.gold]
    kind = (i * 7) % 20 if not clumsy else (i * 3) % 8
    text = hermes(*gold) if gold else (record.messages[-1]["content"] or "") + END
    if clumsy:
        offered = [t["function"]["name"] for t in record.tools]
        first = gold[0] if gold else {"name": offered[0], "arguments": {}}
        text = [
            text,
            json.dumps(first, ensure_ascii=False) + END,
            "네, 요청하신 작업을 처리하겠습니다." + END,
            hermes({**first, "name": offered[-1]}),
            hermes({"name": "structural_" + first["name"], "arguments": first["arguments"]}),
            "<tool_call>\n{'name': '" + first["name"] + "', 'arguments': {" + END,
            "물론입니다! 아래와 같이 호출합니다.\n"
            + hermes({**first, "arguments": {**first["arguments"], "note": "추가"}}),
            "<tool_call>\n" + json.dumps(first, ensure_ascii=False)[:-12],
        ][kind]
        return Output(text, len(text) // 3, kind == 7)
    if kind == 3 and gold:
        arguments = dict(gold[-1]["arguments"])
        for key, value in arguments.items():
            if isinstance(value, (int, float)):
                arguments[key] = -value if value < 0 else value * 10
                break
            if isinstance(value, list) and value:
                arguments[key] = [*value[:-1], 99]
                break
        text = hermes(*gold[:-1], {**gold[-1], "arguments": arguments})
    elif kind == 6 and gold:
        others = [t["function"]["name"] for t in record.tools if t["function"]["name"] != gold[0]["name"]]
        text = hermes({**gold[0], "name": others[0]}, *gold[1:])
    elif kind == 9 and gold:
        arguments = dict(gold[0]["arguments"])
        arguments.pop(next(iter(arguments), ""), None)
        text = hermes({**gold[0], "arguments": arguments}, *gold[1:])
    elif kind == 11 and len(gold) > 1:
        text = hermes(*gold[:-1])
    elif kind == 13 and not gold:
        text = hermes({"name": record.tools[0]["function"]["name"], "arguments": {}})
    elif kind == 16 and gold and i % 3 == 0:
        text = text.replace("}\n</tool_call>", ",}\n</tool_call>")
    elif kind == 18 and gold and i % 2 == 0:
        text = text[: len(text) // 2]
        return Output(text, 256, True)
    return Output(text, len(text) // 3, False)


def scored(records, outputs):
    return score(Sample.from_record(r, outputs[r.id].text, truncated=outputs[r.id].truncated) for r in records)


def executed_by(records, outputs):
    found = [Sample.from_record(r, outputs[r.id].text) for r in records if r.id in outputs]
    return execution_accuracy([r for r in records if r.id in outputs], found)


def metrics_of(records, outputs, probe=None):
    tuned = scored(records, outputs["tuned"])
    base = scored(records, outputs["base"]) if "base" in outputs else None
    executed = {side: executed_by(records, mine) for side, mine in outputs.items()}
    return {
        "run": "6gb-qwen2.5-1.5b",
        "split": "test",
        "model": "Qwen2.5-1.5B-Instruct",
        "family": "hermes",
        "settings": {"max_new_tokens": 256, "batch": 8, "greedy": True},
        "tuned": tuned,
        "base": base,
        "compare": compare(base | {"execution": executed["base"]}, tuned | {"execution": executed["tuned"]})
        if base
        else None,
        "execution": executed if executed["tuned"] else None,
        "probe": probe,
        "seconds": {"base": 312.4, "tuned": 296.1},
    }


HOSTILE = [
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 1</script><!-- <script>",
    '<img src=x onerror="window.hacked = 1">',
    "{{ 7 * 7 }} {% raw %} {{ metrics }} ${7 * 7} {n}",
    "right \u202eto\u202c left \u200f mark \u2028 \u2029 \ud800 end",
    "control \x00\x07\x1b[31m\x7f",
    "x" * 100_000,
    "\"'&amp; &lt;b&gt;",
]


def hostile_records():
    records, outputs = [], {"tuned": {}, "base": {}}
    for i, text in enumerate(HOSTILE):
        tool = {
            "type": "function",
            "function": {
                "name": f"f{text}",
                "description": text,
                "parameters": {"type": "object", "properties": {text: {"type": "string", "description": text}}},
            },
        }
        call = {"type": "function", "function": {"name": f"f{text}", "arguments": {text: text}}}
        messages = [
            {"role": "system", "content": text},
            {"role": "user", "content": text},
            {"role": "assistant", "content": text, "tool_calls": [call]},
        ]
        meta = {"bucket": text, "lang": text, "phenomena": [text]}
        records.append(Record(f"{i}{text}", messages, [tool], meta))
        wrong = {"name": f"g{text}", "arguments": {text: text + "!"}}
        raw = "<tool_call>\n" + json.dumps(wrong) + "\n</tool_call>"
        outputs["tuned"][records[-1].id] = Output(text + raw + text, 9, False)
        outputs["base"][records[-1].id] = Output(text, 9, True)
    return records, outputs
