import re
from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime
from importlib.resources import files
from urllib.parse import urlsplit

import pytest

from app import helplines as module
from app.helplines import BadHelplines, Helplines, Line, countries, helplines, parse

ALL = [helplines(code) for code in countries()]
INTERNATIONAL = helplines(None)
LINES = [line for each in (*ALL, INTERNATIONAL) for line in each.lines]
ASKED_FOR = (
    *("US", "CA", "GB", "IE", "AU", "NZ", "IN", "ZA", "NG", "KE", "DE", "AT", "CH", "FR", "BE", "NL"),
    *("ES", "PT", "IT", "PL", "SE", "NO", "DK", "FI", "BR", "MX", "AR", "JP", "KR", "SG", "PH"),
)
PHONE = re.compile(r"[*(]?\d[\d() -]*\d")
SMALL = """
[international]
name = "International"
emergency = "112"
[[international.lines]]
name = "Everywhere"
for = "any"
web = "https://example.org/"
source = "https://example.org/"
checked = ""
[countries.AQ]
name = "Antarctica"
emergency = "911"
[[countries.AQ.lines]]
name = "Ice Line"
for = "suicide"
phone = "123"
source = "https://example.org/"
checked = "2026-11-21"
"""


def digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def is_address(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in {"http", "https"} and "." in parts.netloc and " " not in text


def problem(toml: str) -> str:
    with pytest.raises(BadHelplines) as raised:
        parse(toml)
    return str(raised.value)


def test_there_are_at_least_28_countries_and_all_that_were_asked_for() -> None:
    assert len(ALL) >= 28
    assert set(ASKED_FOR) <= set(countries())


def test_a_country_is_two_capital_letters() -> None:
    assert all(re.fullmatch("[A-Z]{2}", code) for code in countries())


def test_every_country_has_a_name_of_its_own() -> None:
    names = [each.name for each in (*ALL, INTERNATIONAL)]

    assert len(set(names)) == len(names)


def test_every_country_has_an_emergency_number() -> None:
    for each in (*ALL, INTERNATIONAL):
        assert re.fullmatch(r"\d{2,5}", each.emergency), each.name
        assert re.fullmatch(r"(\d{2,5})?", each.police), each.name
        assert each.police != each.emergency, each.name


def test_every_country_has_a_line_for_people_in_a_crisis_before_the_others() -> None:
    for each in (*ALL, INTERNATIONAL):
        kinds = [line.kind for line in each.lines]
        assert kinds[0] in {"suicide", "any"}, each.name
        assert 1 <= sum(kind in {"suicide", "any"} for kind in kinds) <= 3, each.name


def test_every_country_has_a_crisis_line_that_can_be_called() -> None:
    for each in ALL:
        assert any(line.phone for line in each.lines if line.kind in {"suicide", "any"}), each.name


def test_a_country_names_a_number_once_for_each_purpose() -> None:
    for each in ALL:
        numbers = [(line.kind, digits(line.phone)) for line in each.lines if line.phone]
        assert len(set(numbers)) == len(numbers), each.name


def test_every_line_has_a_number_or_a_web_address() -> None:
    assert [line for line in LINES if not (line.phone or line.text or line.web)] == []


def test_a_phone_number_is_plausible() -> None:
    for line in LINES:
        if line.phone:
            assert PHONE.fullmatch(line.phone), line
            assert 3 <= len(digits(line.phone)) <= 12, line
            assert line.phone.count("(") == line.phone.count(")"), line


def test_a_number_for_messages_is_plausible() -> None:
    for line in LINES:
        if line.text:
            assert re.fullmatch(r"([A-Z]+ to |WhatsApp )?[\d() -]+", line.text), line
            assert 3 <= len(digits(line.text)) <= 12, line


def test_no_helpline_is_the_emergency_number() -> None:
    for each in ALL:
        assert not {each.emergency, each.police} & {digits(line.phone) for line in each.lines if line.phone}, each.name


def test_every_line_has_a_source_and_its_addresses_are_addresses() -> None:
    for line in LINES:
        assert is_address(line.source), line
        assert all(is_address(address) for address in (line.web, line.seen) if address), line
        assert not line.web or line.web.startswith("https://"), line


def test_a_line_from_memory_claims_no_page_and_no_date() -> None:
    assert [line for line in LINES if line.from_memory and (line.checked or line.seen)] == []


def test_a_date_is_a_day_or_a_month_that_has_come() -> None:
    today = datetime.now(UTC).date()
    for line in LINES:
        if line.checked:
            assert re.fullmatch(r"\d{4}-\d\d(-\d\d)?", line.checked), line
            assert date.fromisoformat(line.checked if len(line.checked) > 7 else f"{line.checked}-01") <= today, line


def test_hours_are_all_day_or_times() -> None:
    for line in LINES:
        assert re.fullmatch(r"(24/7|([A-Z][a-z]{2}-[A-Z][a-z]{2} )?\d\d:\d\d-\d\d:\d\d)?", line.hours), line


@pytest.mark.parametrize("code", [None, "", "  ", "XX", "Atlantis", "../US", "U S"])
def test_an_unknown_country_gives_the_international_ones(code: str | None) -> None:
    found = helplines(code)

    assert found == INTERNATIONAL
    assert (found.country, found.emergency) == ("", "112")
    assert any("findahelpline.com" in line.web for line in found.lines)


def test_the_international_ones_have_no_number_that_only_one_country_can_call() -> None:
    assert not any(line.phone or line.text for line in INTERNATIONAL.lines)


@pytest.mark.parametrize(("written", "code"), [("us", "US"), (" De ", "DE"), ("uk", "GB"), ("UK", "GB")])
def test_a_country_may_be_written_in_small_letters_or_as_people_write_it(written: str, code: str) -> None:
    assert helplines(written).country == code


def test_the_file_is_read_once() -> None:
    assert helplines("US") is helplines("US")


def test_what_is_read_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        helplines("US").emergency = "000"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        helplines("US").lines[0].phone = "000"  # type: ignore[misc]
    with pytest.raises(TypeError):
        parse(SMALL)["AQ"] = INTERNATIONAL  # type: ignore[index]


def test_every_field_of_the_file_reaches_the_reader() -> None:
    found = parse(SMALL)

    assert found["AQ"] == Helplines(
        country="AQ",
        name="Antarctica",
        emergency="911",
        police="",
        lines=(Line("Ice Line", "suicide", "https://example.org/", "2026-11-21", phone="123"),),
    )
    assert found[""].lines[0].web == "https://example.org/"


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("[international]", "[international", "is not valid TOML"),
        ("[countries.AQ]", "[lands.AQ]", "unknown field `lands`"),
        ('emergency = "911"\n', "", "[countries.AQ] in app/data/helplines.toml has no `emergency`"),
        ('emergency = "911"', "emergency = 911", "`emergency` is not a str"),
        ('emergency = "911"', 'emergency = ""', "`emergency` is empty"),
        ('phone = "123"', 'fone = "123"', "[countries.AQ], line 1, in app/data/helplines.toml has an unknown field"),
        ('phone = "123"\n', "", "has none of phone, text, web"),
        ('for = "suicide"', 'for = "pets"', "is for 'pets'"),
        ('checked = "2026-11-21"', "", "has no `checked`"),
        ('checked = "2026-11-21"', 'checked = ""\nfrom_memory = "yes"', "`from_memory` is not a bool"),
    ],
)
def test_a_broken_file_says_what_is_wrong_and_where(right: str, wrong: str, said: str) -> None:
    assert right in SMALL

    assert said in problem(SMALL.replace(right, wrong))


def test_a_file_without_countries_or_international_ones_is_broken() -> None:
    assert "has no `countries`" in problem("")
    assert "has no `international`" in problem("[countries]")
    assert "[countries.AQ] in app/data/helplines.toml is not a table" in problem(
        SMALL[: SMALL.index("[countries")] + "[countries]\nAQ = 1"
    )
    assert "has no lines" in problem(SMALL[: SMALL.index("[[countries")] + "lines = []")


def test_a_missing_file_says_how_to_get_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "files", lambda _: files("rerank"))
    module._read.cache_clear()

    with pytest.raises(BadHelplines, match="missing"):
        helplines("US")
    monkeypatch.undo()

    assert helplines("US").country == "US"
