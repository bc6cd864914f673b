import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.__main__ import run
from rerank.bench import mock
from rerank.mock_server import MODEL

pytestmark = pytest.mark.usefixtures("alone")

GRADES = {"resonation": 4, "expression": 3, "reception": 2, "bystander": 60}
SCENARIO = {
    "persona": "a baker",
    "scenario": "",
    "history": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hello to you"}],
    "query": "the ovens were cold",
    "replies": [
        {"analysis": "a", "response": "b", "scores": GRADES},
        {"analysis": "c", "response": "d", "scores": GRADES | {"reception": 5}},
    ],
}
WORD = "quincewort"


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with mock(0) as url:
        yield url


@pytest.fixture
def _configured(upstream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTUNE_POLICY_URL", upstream)
    monkeypatch.setenv("ATTUNE_POLICY_MODEL", MODEL)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    file = tmp_path / "labelled.jsonl"
    file.write_text("\n".join([json.dumps(SCENARIO)] * 3) + "\n")
    return file


@pytest.mark.usefixtures("_configured")
def test_a_message_is_answered_with_the_best_of_several(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["reply", "I am tired"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("You have been holding all of this together")
    assert err.splitlines()[:2] == ["considering 4 replies", "choosing"]
    assert err.splitlines()[2].startswith("the best of 4, reward 0.")


@pytest.mark.usefixtures("_configured")
def test_a_reply_as_json_has_all_that_was_weighed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["reply", "I am tired", "--persona", "a baker", "--scenario", "so far", "--n", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert {"reply", "risk", "candidates", "degraded", "seconds"} <= found.keys()
    assert len(found["candidates"]) == 3
    assert [each["chosen"] for each in found["candidates"]] == [True, False, False]
    assert found["candidates"][0]["scores"].keys() == GRADES.keys()
    assert found["candidates"][0]["response"] == found["reply"]
    assert found["degraded"] is None
    assert found["candidates"][0]["safe"] is True
    assert found["candidates"][0]["reward"] == pytest.approx(0.566, abs=0.001)


@pytest.mark.parametrize("text", ["", "   ", "\n"])
@pytest.mark.usefixtures("_configured")
def test_nothing_is_not_answered(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["reply", text]) == 2
    assert "nothing to answer" in capsys.readouterr().err


@pytest.mark.usefixtures("labelled")
@pytest.mark.parametrize("command", [["reply", WORD], ["judge", "labelled.jsonl"]])
def test_a_server_that_is_away_is_told_in_words(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for role in ("POLICY", "FALLBACK"):
        monkeypatch.setenv(f"ATTUNE_{role}_URL", "http://127.0.0.1:9/v1")
        monkeypatch.setenv(f"ATTUNE_{role}_MODEL", "gone")

    assert run([*command, "--json"]) == 1
    out, err = capsys.readouterr()
    assert "Unreachable" in err or "cannot be reached" in err
    assert json.loads(out.splitlines()[-1]).keys() == {"error"}
    assert WORD not in out + err


@pytest.mark.usefixtures("_configured")
def test_a_judge_that_always_says_the_same_agrees_by_chance(labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["judge", str(labelled), "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert found["perspectives"].keys() == GRADES.keys()
    assert found["perspectives"]["reception"] == {"spearman": None, "pairs": 0.5, "best": 0.5, "failed": 0}
    assert found["perspectives"]["resonation"]["pairs"] is None
    assert found["reward"] == {"pairs": 0.5, "best": 0.5}
    assert found["replies"] == 6
    assert found["seconds"] > 0


@pytest.mark.usefixtures("_configured")
def test_agreement_is_told_in_a_table(labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["judge", str(labelled)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:6]] == [*GRADES, "reward"]
    assert lines[6].startswith("6 replies in ")


@pytest.mark.usefixtures("_configured")
def test_a_line_that_is_no_scenario_is_named_and_not_quoted(labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with labelled.open("a") as file:
        file.write(json.dumps({"query": WORD}))

    assert run(["judge", str(labelled)]) == 1
    err = capsys.readouterr().err
    assert "line 4" in err
    assert WORD not in err


@pytest.mark.slow
def test_the_benchmark_of_a_turn_has_a_row_for_each_way(capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "bench",
        "turn",
        "--mock",
        "5ms",
        "--n",
        "2",
        "--concurrency",
        "1",
        "--concurrency",
        "3",
        "--samples",
        "3",
    ]
    assert run([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["rows"]

    assert [(each["what"], each["n"], each["concurrency"]) for each in rows] == [
        (what, n, together) for together in (1, 3) for what, n in (("single", 1), ("sequential", 2), ("attune", 2))
    ]
    by_way = {each["what"]: each for each in rows}
    assert by_way["single"]["requests"] == 1
    assert by_way["sequential"]["requests"] == 9
    assert by_way["attune"]["requests"] <= 3
    assert by_way["attune"]["judgements"] == by_way["sequential"]["judgements"] == 8
    assert all(each["p50_ms"] <= each["p95_ms"] and each["client_cpu_ms"] > 0 for each in rows)


@pytest.mark.parametrize("time", ["", "soon", "-1ms", "1e9ms", "nan"])
def test_a_latency_that_is_none_is_refused(time: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "turn", "--mock", time]) == 2
    assert "50ms" in capsys.readouterr().err


@pytest.mark.usefixtures("_configured")
def test_the_doctor_looks_at_the_servers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ATTUNE_FALLBACK_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("ATTUNE_FALLBACK_MODEL", "gone")
    monkeypatch.setenv("ATTUNE_JUDGE_MODEL", "another")

    run(["doctor", "--json"])
    checks = {each["name"]: each for each in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["policy"]["state"] == "ok"
    assert checks["fallback"]["state"] == "failed"
    assert checks["judge"]["state"] == "failed"
    assert MODEL in checks["judge"]["detail"]
