# ruff: noqa: RUF001 - models write in every script
import time
from collections.abc import Callable
from math import isfinite
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rerank.parse import Parts, ReplyStream, parts_total, score, split

A, R = "She feels unseen at work.", "That sounds exhausting. What would help tonight?"
GOOD = Parts(A, R, well_formed=True)
any_text = st.text(st.characters())
HEADINGS = [
    "# Analysis",
    "## Response",
    "**Response:**",
    "Response:",
    "analysis：",
    "Analysis",
    "response",
    "#",
    "**",
    ":",
]
AROUND = ["<think>", "</think>", "```", "```markdown\n", "\n", "\r\n", " ", "\t", "a", "I hear you.", "\ud800", "\0"]
TOGETHER = ["# Analysis\nShe is sad.\n", "\n# Response\n", "\n**Response**: I", "\nResponse: I"]
LABELS = [
    "Score",
    "Final Score",
    "Total Score",
    "Clarity",
    "Level 3",
    "rating",
    "Note",
    ":",
    "：",
    "=",
    "**",
    "|",
    "[",
    "]",
]
NUMBERS = [
    "4",
    "5",
    "0",
    "78",
    "3.5",
    "4,5",
    "four",
    "N/A",
    "nan",
    "４",
    "٤",
    "-",
    "–",
    "%",
    "/5",
    "/20",
    " out of ",
    " to ",
]
MARKS = [
    "<score>",
    "</score>",
    "<think>",
    "</think>",
    "1-5",
    "\\boxed{",
    "}",
    '"',
    ".",
    "\ud800",
    "1. ",
    " ",
    " ",
    "\n",
]
PARTS = ["Effectiveness: 16 / 20", "Efficiency: 12/20", "Objectivity: 9", "Accuracy: 20/20", "Clarity (0–20): 14"]
fragments = st.lists(st.sampled_from([*HEADINGS, *AROUND, *TOGETHER]), max_size=14).map("".join)
judge_words = st.lists(st.sampled_from([*LABELS, *NUMBERS, *MARKS, *PARTS]), max_size=20).map("".join)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"# Analysis\n{A}\n# Response\n{R}", id="perm"),
        pytest.param(f"# Analysis\n\n{A}\n\n# Response\n\n{R}\n", id="blank-lines"),
        pytest.param(f"## Analysis\n{A}\n\n### Response\n{R}", id="other-levels"),
        pytest.param(f"#Analysis\n{A}\n#Response\n{R}", id="no-space-after-the-mark"),
        pytest.param(f"# Analysis #\n{A}\n# Response #\n{R}", id="closed-headings"),
        pytest.param(f"**Analysis**\n{A}\n\n**Response**\n{R}", id="bold"),
        pytest.param(f"**Analysis:**\n{A}\n\n**Response:**\n{R}", id="colon-in-bold"),
        pytest.param(f"**Analysis**: {A}\n\n**Response**: {R}", id="colon-after-bold"),
        pytest.param(f"### **Analysis:**\n{A}\n### **Response:**\n{R}", id="bold-in-a-heading"),
        pytest.param(f"__Analysis__\n{A}\n__Response__\n{R}", id="underlined"),
        pytest.param(f"Analysis: {A}\nResponse: {R}", id="on-the-headings-line"),
        pytest.param(f"Analysis：{A}\nResponse：{R}", id="full-width-colon"),
        pytest.param(f"Analysis : {A}\nResponse : {R}", id="french-colon"),
        pytest.param(f"# analysis:\n{A}\n# RESPONSE:\n{R}", id="other-case"),
        pytest.param(f"  # Analysis\n  {A}\n  # Response\n  {R}", id="leading-spaces"),
        pytest.param(f"# Analysis\r\n{A}\r\n\r\n# Response\r\n{R}\r\n", id="crlf"),
        pytest.param(f"Sure! Here is my reply.\n\n# Analysis\n{A}\n# Response\n{R}", id="preamble"),
        pytest.param(f"<think>\nHm.\n</think>\n\n# Analysis\n{A}\n# Response\n{R}", id="qwen-thinks"),
        pytest.param(
            f"<think># Analysis\nno\n# Response\nno</think># Analysis\n{A}\n# Response\n{R}", id="thinks-headings"
        ),
        pytest.param(f"<think>\n\n</think>\n\n# Analysis\n{A}\n# Response\n{R}", id="qwen-thinks-nothing"),
        pytest.param(f"Hm, sad.\n</think>\n\n# Analysis\n{A}\n# Response\n{R}", id="the-template-opened-the-thought"),
        pytest.param(f"```\n# Analysis\n{A}\n# Response\n{R}\n```", id="fence"),
        pytest.param(f"Sure:\n```markdown\n# Analysis\n{A}\n\n# Response\n{R}\n```\n", id="named-fence"),
    ],
)
def test_a_reply_is_split_however_its_headings_are_written(text: str) -> None:
    assert split(text) == GOOD


@pytest.mark.parametrize(
    ("text", "analysis", "response"),
    [
        pytest.param("", "", "", id="nothing"),
        pytest.param("I hear you.", "", "", id="no-headings"),
        pytest.param(f"# Analysis\n{A}", A, "", id="cut-in-the-analysis"),
        pytest.param(f"# Analysis\n{A}\n# Resp", f"{A}\n# Resp", "", id="cut-in-the-heading"),
        pytest.param(f"# Analysis\n{A}\n# Response\n", A, "", id="empty-response"),
        pytest.param(f"# Analysis\n\n# Response\n{R}", "", R, id="empty-analysis"),
        pytest.param(f"# Response\n{R}", "", R, id="response-alone"),
        pytest.param(f"# Response\n{R}\n# Analysis\n{A}", A, R, id="wrong-order"),
        pytest.param(f"# Analysis\n{A}\n# Response\n{R}\n# Analysis\nShe is weak.", A, R, id="analysis-again"),
        pytest.param(f"# Analysis\n{A}\n# Response\n{R}\n# Response\nMore.", A, R, id="response-again"),
        pytest.param(f"# Analysis\n{A}\n# Analysis\nB\n# Response\n{R}", A, R, id="analysis-twice-before"),
        pytest.param(f"<think>\n# Analysis\n{A}\n# Response\n{R}", "", "", id="still-thinking"),
        pytest.param(f"Analysis\n{A}\nResponse\n{R}", "", "", id="words-without-a-mark"),
        pytest.param(f"# Analysis of grief\n{A}\n# Response\n{R}", "", R, id="a-longer-title"),
        pytest.param(
            f"# Analysis\n{A}\nResponse is hard. My Response: no",
            f"{A}\nResponse is hard. My Response: no",
            "",
            id="prose",
        ),
        pytest.param(f"```\n# Analysis\n{A}\n# Response\n{R}", A, R, id="fence-not-closed"),
        pytest.param(f"# Analysis\n{A}\n# Response\n{R} <think>hm", A, f"{R} <think>hm", id="thinks-aloud"),
        pytest.param("# Analyſis\nA\n# Reſponse\nB", "", "", id="another-letter"),
    ],
)
def test_a_reply_that_is_cut_or_mixed_up_is_not_well_formed(text: str, analysis: str, response: str) -> None:
    assert split(text) == Parts(analysis, response, well_formed=False)


def test_words_in_the_text_are_no_headings_and_its_marks_are_kept() -> None:
    analysis = "Analysis paralysis.\n\nIn short, Analysis: none. **Response** comes later."
    response = "*hugs* Response time matters.\n- one\n- two\n```\ncode\n```"
    assert split(f"# Analysis\n{analysis}\nResponse: {response}") == Parts(analysis, response, well_formed=True)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        pytest.param("# Analysis\nShe is sad.\n# Response\nHi", "# Response\n", id="at-the-headings-newline"),
        pytest.param("Analysis: sad\nResponse: Hi", "Response: H", id="at-the-first-letter-after-the-colon"),
        pytest.param("Analysis: sad\n**Response:** *Hi*", "Response:** *", id="at-the-first-mark-after-the-bold"),
        pytest.param(
            "<think>\n# Response\n</think>\n# Analysis\nsad\n# Response\nHi", "sad\n# Response\n", id="thinking"
        ),
    ],
)
def test_the_analysis_is_complete_once_the_heading_is_certain(text: str, where: str) -> None:
    stream = ReplyStream()
    told = [stream.feed(character) for character in text]
    assert told.count(True) == 1
    assert told.index(True) == text.index(where) + len(where) - 1
    assert stream.analysis == split(text).analysis


@given(any_text | fragments, st.randoms(use_true_random=False))
@example("# Analysis\nsad\n# Response\nHi\n# Analysis\nmore", Random(0))
def test_a_streamed_reply_is_the_whole_reply(text: str, random: Random) -> None:
    stream, told, start = ReplyStream(), 0, 0
    while start < len(text):
        end = start + random.choice([1, 1, 2, 5, 40])
        assert stream.analysis == (split(text).analysis if told else "")
        told += stream.feed(text[start:end])
        start = end
    whole = split(text)
    assert stream.text == text
    assert stream.finish() == whole
    assert told == ReplyStream().feed(text)
    assert stream.analysis == (whole.analysis if told else "")
    assert told or not whole.well_formed


@given(fragments)
def test_no_part_of_a_well_formed_reply_holds_a_heading_or_a_thought(text: str) -> None:
    parts = split(f"# Analysis\nsad {text}\n# Response\nHi {text}")
    if parts.well_formed:
        assert parts.analysis
        assert parts.response
        assert "think>" not in parts.response
        assert split(parts.response) == Parts("", "", well_formed=False)


SCORES = [
    pytest.param("Reason: It names the emotion.\nScore: 3", 3, id="perm"),
    pytest.param("**Score:** 4", 4, id="bold-label"),
    pytest.param("**Score: 4**", 4, id="bold-line"),
    pytest.param("**Score**: 4/5", 4, id="fraction"),
    pytest.param("Score: [4]", 4, id="brackets"),
    pytest.param("   Score: 4", 4, id="leading-spaces"),
    pytest.param("Total Score: [4] / 5", 4, id="brackets-and-fraction"),
    pytest.param("Score：4", 4, id="full-width-colon"),
    pytest.param("Score = 4", 4, id="equals"),
    pytest.param("Score - 4", 4, id="dash"),
    pytest.param("Score – 4", 4, id="en-dash"),
    pytest.param("Score: 4 – it is warm", 4, id="dash-after"),
    pytest.param("Rating: 4", 4, id="rating"),
    pytest.param("**4**", 4, id="bold-number"),
    pytest.param("4", 4, id="number"),
    pytest.param("4.\n", 4, id="number-and-stop"),
    pytest.param("4/5", 4, id="only-a-fraction"),
    pytest.param("4.5", 4.5, id="half"),
    pytest.param("Score: 4,5", 4.5, id="decimal-comma"),
    pytest.param("I give it a 4 out of 5.", 4, id="sentence"),
    pytest.param("On a scale of 1 to 5, I'd rate this response a 4.", 4, id="scale-in-a-sentence"),
    pytest.param("I would give this a four.", 4, id="word-in-a-sentence"),
    pytest.param("The reply earns 4/5 because of its 2 questions.", 4, id="fraction-in-a-sentence"),
    pytest.param("Score: four", 4, id="word"),
    pytest.param("Score: Four out of 5", 4, id="word-and-fraction"),
    pytest.param("The answer is $\\boxed{4}$.", 4, id="boxed"),
    pytest.param('{"score": 4}', 4, id="json"),
    pytest.param('```json\n{"reason": "2 good questions", "score": "4"}\n```', 4, id="json-in-a-fence"),
    pytest.param('{"overall_score": 4, "warmth_score": 2}', 4, id="json-overall"),
    pytest.param("<score>4</score>", 4, id="tag"),
    pytest.param("<answer>\n4\n</answer>", 4, id="answer-tag"),
    pytest.param("| Score | 4 |", 4, id="table"),
    pytest.param("| Criterion | Score |\n|---|---|\n| Reception | 4 |", None, id="table-without-label-in-its-row"),
    pytest.param("## Score\n\n4", 4, id="heading"),
    pytest.param("Score: 2 at first.\n\n**Final Score:**\n4", 4, id="number-below-its-label"),
    pytest.param("Punktzahl: 4", 4, id="german"),
    pytest.param("Puntuación: 4", 4, id="spanish"),
    pytest.param("Note : 4 sur 5", 4, id="french"),
    pytest.param("评分：4分", 4, id="chinese"),
    pytest.param("最终分数：４", 4, id="chinese-full-width"),
    pytest.param("スコア：4", 4, id="japanese"),
    pytest.param("Оценка: 4 из 5", 4, id="russian"),
    pytest.param("Score: ٤", 4, id="arabic-digit"),
    pytest.param("<think>Score: 2? Or score: 5?</think>\nScore: 4", 4, id="thought-about-others"),
    pytest.param("Score: 2 or 3, hm.</think>Score: 4", 4, id="thought-without-its-start"),
    pytest.param("Empathy score: 3\nFinal score: 4\nNote: 2 sentences drag.", 4, id="final-before-a-note"),
    pytest.param("Score: 2 ... but then it warms up.\nScore: 4", 4, id="the-last-one"),
    pytest.param("Score: 4\nA score of 5 would need more warmth.", 4, id="a-score-that-it-is-not"),
    pytest.param("Score (1-5): 4", 4, id="scale-in-the-label"),
    pytest.param("Score (out of 5): 4", 4, id="maximum-in-the-label"),
    pytest.param("Score for Reception: 4", 4, id="perspective-in-the-label"),
    pytest.param("Score: 4 (on a scale of 1–5)", 4, id="scale-behind"),
    pytest.param("Score: 4 points", 4, id="points"),
    pytest.param("Score: “4”", 4, id="quotes"),
    pytest.param("On a scale of 5 I'd rate it 4.", 4, id="length-of-the-scale"),
    pytest.param("Score on a 5-point scale: 4", 4, id="points-of-the-scale"),
    pytest.param("Available 24/7, so 4/5.", 4, id="another-fraction"),
    pytest.param("Score: 5/5", 5, id="full-marks"),
    pytest.param("I would assign a score of 5.", 5, id="full-marks-in-a-sentence"),
    pytest.param("Score: five out of five", 5, id="full-marks-in-words"),
    pytest.param("Score: Level 4", 4, id="level-behind-the-label"),
    pytest.param("It reaches Level 3, not Level 4.\nScore: 3", 3, id="levels"),
    pytest.param("1. Reason: warm.\n2. Score: 4", 4, id="numbered-list"),
    pytest.param("Score: 4. It asks 2 questions.", 4, id="rationale-behind"),
    pytest.param("", None, id="empty"),
    pytest.param("The reply is warm.", None, id="only-words"),
    pytest.param("It reaches Level 3.", None, id="only-a-level"),
    pytest.param("On a scale of 1 to 5 it is warm.", None, id="only-the-scale"),
    pytest.param("The reply asks 3 questions.", None, id="only-a-count"),
    pytest.param("Score: ", None, id="label-alone"),
    pytest.param("Score: [Integer 1-5]", None, id="template-echoed"),
    pytest.param("Score: 1-5", None, id="only-the-range"),
    pytest.param("Score: N/A\n4", None, id="not-applicable"),
    pytest.param("Score: NaN", None, id="nan"),
    pytest.param("Score: 0", None, id="zero"),
    pytest.param("Score: 6", None, id="six"),
    pytest.param("Score: zero", None, id="zero-word"),
    pytest.param("Score: six", None, id="six-word"),
    pytest.param("Score: -4", None, id="negative"),
    pytest.param("-4", None, id="negative-alone"),
    pytest.param("Score: −4", None, id="real-minus"),
    pytest.param("Score: 7/5", None, id="above-its-denominator"),
    pytest.param("Score: 8/10", None, id="other-denominator"),
    pytest.param("Score: 4/10", None, id="other-denominator-in-range"),
    pytest.param("Score: 4 out of 10", None, id="other-denominator-in-words"),
    pytest.param("Score: 4%", None, id="percent"),
    pytest.param("Score: 80 percent", None, id="percent-in-words"),
    pytest.param("Score: 3-4", None, id="range"),
    pytest.param("Score: 3 – 4", None, id="range-with-spaces"),
    pytest.param("3 to 4", None, id="range-in-words"),
    pytest.param("Score: 3 or 4", None, id="either"),
    pytest.param("Score: between 3 and 4", None, id="between"),
    pytest.param("Score: four and a half", None, id="half-in-words"),
    pytest.param("Score: 4½", None, id="half-sign"),
    pytest.param("Score: 4+", None, id="plus"),
    pytest.param("Score: 4th", None, id="ordinal"),
    pytest.param("Score: 4.5.1", None, id="version"),
    pytest.param("3 4", None, id="two-numbers"),
    pytest.param("3\n4", None, id="two-lines"),
    pytest.param("Score: 44444444444", None, id="huge"),
    pytest.param("44444444444", None, id="huge-alone"),
    pytest.param("<think>Score: 4", None, id="still-thinking"),
    pytest.param("Score: 4\nFinal score: 9", None, id="the-final-one-is-out-of-range"),
]


@pytest.mark.parametrize(("text", "expected"), SCORES)
def test_a_judges_score_is_read_or_there_is_none(text: str, expected: float | None) -> None:
    assert score(text, 1, 5) == expected


PERM = """1. Overall Assessment:
The reply is focused. It names 2 next steps.

2. Dimension Scores and Rationales:
- Content Effectiveness: 16 / 20 — answers the question
- Logical Structure & Clarity: 14 / 20 — clear, with 3 points
- Communication Efficiency: 15 / 20 — short
- Objectivity & Neutrality: 13 / 20 — fair
- Information Accuracy & Verifiability: 17 / 20 — nothing wrong

3. Total Score: {total} / 100"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(PERM.format(total="75"), 75, id="perm"),
        pytest.param(PERM.format(total="[75]"), 75, id="brackets"),
        pytest.param(PERM.format(total="90"), 75, id="the-parts-count-if-the-total-disagrees"),
        pytest.param(PERM.format(total="180"), 75, id="the-parts-count-if-the-total-is-impossible"),
        pytest.param(PERM.format(total="78").replace("14 / 20", "24 / 20"), 78, id="an-impossible-part"),
        pytest.param(PERM.format(total="78").replace("14 / 20", "14 / 25"), 78, id="a-part-of-another-scale"),
        pytest.param(PERM.format(total="78").replace("14 / 20", "12-14"), 78, id="an-unclear-part"),
        pytest.param(PERM.format(total="?").replace("14 / 20", "clear"), None, id="a-missing-part-and-no-total"),
        pytest.param(PERM.format(total="[0-100]"), 75, id="total-not-filled-in"),
        pytest.param(f"<think>{PERM.format(total=1)}</think>{PERM.format(total=75)}", 75, id="thought"),
        pytest.param("Total Score: [78] / 100", 78, id="total"),
        pytest.param("   **Total Score:** 78/100", 78, id="bold-total"),
        pytest.param("Total Score: 0 / 100", 0, id="nothing-good"),
        pytest.param("Total: 78", 78, id="short-total"),
        pytest.param("Total score: 78%", 78, id="percent"),
        pytest.param("78", 78, id="number"),
        pytest.param("Score: 78.5", 78.5, id="half"),
        pytest.param("Total Score: 120 / 100", None, id="above"),
        pytest.param("Total Score: -5", None, id="below"),
        pytest.param("Total Score: 39 / 50", None, id="of-fifty"),
        pytest.param("Total Score: 70-80", None, id="range"),
        pytest.param("Total Score: 16 + 14 + 15 + 13 + 17 = 75", None, id="only-an-addition"),
        pytest.param("", None, id="empty"),
        pytest.param("Clarity: 14/20", None, id="one-part"),
        pytest.param("### Clarity\nScore: 14/20\n### Accuracy\nScore: 15", None, id="two-parts"),
        pytest.param(
            "### Accuracy\nScore: 17/20\n### Objectivity\nScore: 13/20\n### Efficiency\nScore: 15/20\n"
            "### Clarity\nScore: 14/20\n### Effectiveness\nScore: 16/20",
            75,
            id="headings-in-another-order",
        ),
        pytest.param(
            "| Effectiveness | 16 |\n| Clarity | 14.5 |\n| Efficiency | 15 |\n| Objectivity | 13 |\n| Accuracy | 17 |",
            75.5,
            id="table",
        ),
        pytest.param(
            '{"effectiveness": 16, "clarity": {"score": 14}, "efficiency": 15, "objectivity": 13, "accuracy": 17}',
            75,
            id="json",
        ),
        pytest.param(
            "- **Effectiveness (0-20):** 16\n- **Clarity:** 14/20\n- **Efficiency** – 15/20\n"
            "- Objectivity 13/20\n* Accuracy = [17]",
            75,
            id="each-in-its-own-way",
        ),
    ],
)
def test_a_bystanders_score_is_the_sum_of_its_parts_or_the_total(text: str, expected: float | None) -> None:
    assert parts_total(text) == expected


@given(any_text | judge_words, st.sampled_from([(1, 5), (0, 100), (0, 20), (1, 10)]))
@example("\ud800", (1, 5))
@example("Score: \0" + "4" * 10_000, (1, 5))
def test_a_score_is_none_or_in_range_whatever_was_written(text: str, ends: tuple[int, int]) -> None:
    low, high = ends
    found, total = score(text, low, high), parts_total(text)
    assert found is None or low <= found <= high
    assert total is None or (isfinite(total) and 0 <= total <= 100)


@given(st.integers(-20, 20), st.sampled_from(["Score: {}", "**Score:** {}", "Reason: 2 of them.\nScore: {}/5", "{}"]))
def test_a_whole_number_is_its_own_score_inside_the_range_and_none_outside(number: int, form: str) -> None:
    assert score(form.format(number), 1, 5) == (number if 1 <= number <= 5 else None)


LONG = [
    "#",
    "**",
    "Score: ",
    "Score:",
    "score ",
    "a",
    "4",
    "4 ",
    " ",
    "\n",
    "<think>",
    "</think>",
    "```\n",
    "\r\n",
    "1-5 ",
]
LONG += [
    "# Response\n",
    "# Analysis\n",
    "Analysis: ",
    "Score: 3-",
    "clarity ",
    "score a ",
    "|",
    "4/",
    "<",
    "(",
    ": ",
    "- ",
]
LONG += ["four ", "4.", "1. ", "score\n", "\0", "\ud800", "ﷺ", "final score for "]


@pytest.mark.parametrize("piece", [pytest.param(piece, id=ascii(piece)) for piece in LONG])
@pytest.mark.parametrize("read", [split, lambda text: score(text, 1, 5), parts_total], ids=["split", "score", "total"])
def test_a_long_run_of_anything_is_read_quickly(read: Callable[[str], object], piece: str) -> None:
    for text in ("Score" + piece * (200_000 // len(piece)), "# Analysis" + " " * 50_000 + piece * 20_000):
        start = time.perf_counter()
        read(text)
        assert time.perf_counter() - start < 2


@pytest.mark.parametrize("piece", ["a", "\n", " ", "# Response\n", "<think>", "Analysis: a\n"])
def test_a_long_reply_streams_quickly_character_by_character(piece: str) -> None:
    stream, start = ReplyStream(), time.perf_counter()
    for character in "# Analysis\n" + piece * (200_000 // len(piece)):
        stream.feed(character)
    stream.finish()
    assert time.perf_counter() - start < 2
