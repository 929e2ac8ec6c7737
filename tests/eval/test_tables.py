"""Scores and comparisons in the terminal: rows with a call and rows without stand apart."""

from io import StringIO

from rich.console import Console

from eval.parsed import Parsed, ToolCall
from eval.scoring import Sample, compare, score
from eval.tables import bucket_table, compare_table, rates_table
from eval.words import bucket_name

TOOLS = [{"type": "function", "function": {"name": "undo", "parameters": {"type": "object", "properties": {}}}}]


def scored(called, silent):
    """Of 40 rows that need a call so many have it, of 10 that need none so many are left alone."""
    call, none = (
        Parsed([ToolCall("undo", {})] * n, True, True, attempted=bool(n), text="" if n else "없습니다.") for n in (1, 0)
    )
    golds = [[{"name": "undo", "arguments": {}}]] * 40 + [[]] * 10
    made = [call] * called + [none] * (40 - called) + [none] * silent + [call] * (10 - silent)
    return score(Sample(f"s{i}", gold, TOOLS, parsed=made[i]) for i, gold in enumerate(golds))


def lines(table, width):
    console = Console(width=width, file=StringIO())
    console.print(table)
    return console.file.getvalue().splitlines()


def cells(table, first):
    (line,) = (line for line in lines(table, 100) if line.startswith(f"│ {first} "))
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_the_kinds_of_rows_have_their_rates_and_balanced_no_interval():
    table = rates_table("a run", {"base": scored(0, 10)["headline"], "tuned": scored(30, 5)["headline"]})
    assert cells(table, "Exact Match")[1:] == ["20.0% (11.2–33.0)", "70.0% (56.2–80.9)"]
    assert cells(table, "Must-call Exact")[1:] == ["0.0% (0.0–8.8)", "75.0% (59.8–85.8)"]
    assert cells(table, "Abstention")[1:] == ["100.0% (72.2–100.0)", "50.0% (23.7–76.3)"]
    assert cells(table, "Balanced")[1:] == ["0.0%", "60.0%"]  # 2·3/4·1/2 / (5/4)


def test_a_bucket_says_what_it_holds_and_an_unknown_one_its_name():
    assert (str(bucket_name("T2")), bucket_name("T2").text("ko")) == ("T2 unseen phrasing", "T2 처음 보는 표현")
    assert str(bucket_name("mine {0}")).strip() == "mine {0}"


def test_two_models_are_compared_on_each_kind_of_rows():
    result = {"a": "base", "b": "tuned", **compare(scored(0, 10), scored(30, 5))}
    table = compare_table(result)
    assert cells(table, "Must-call Exact")[3:] == ["+75.0", "0", "30", "0.0000"]
    assert cells(table, "Abstention")[3:] == ["-50.0", "5", "0", "0.0625"]  # 2 / 2⁵
    assert cells(table, "Balanced")[1:] == ["0.0%", "60.0%", "+60.0", "–", "–", "–"]
    assert sum("(40 rows)" in line or "(10 rows)" in line for line in lines(table, 100)) == 2
    narrow = "\n".join(lines(table, 80))
    assert "…" not in narrow and "(59.8–85.8)" in narrow


def test_a_bucket_of_both_kinds_shows_them_apart_and_balanced():
    def table(rows):
        tuned = {"slices": {"bucket": {"all": {"n": 50, **rows["headline"]}}}}
        return bucket_table({"tuned": tuned, "probe": None})

    assert cells(table(scored(30, 5)), "all")[-4:-1] == ["75%", "50%", "60%"]
    assert len(table(score([])).columns) == len(table(scored(30, 5)).columns) - 3
