import re
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rerank.clauses import Clause, Cuttings, cut

EVENTS = {
    "my boss shouted at me": ("your boss shouted at you", "their boss shouted at them"),
    "so my boss yelled at me today i feel so small": (
        "your boss yelled at you today",
        "their boss yelled at them today",
    ),
    "MY SISTER STOLE MY MONEY AGAIN": ("your sister stole your money again", "their sister stole their money again"),
    "Our dog died last night.": ("your dog died last night", "their dog died last night"),
    "dad cried on the phone": ("your dad cried on the phone", "their dad cried on the phone"),
    "My son's sick and I'm at work": ("your son\u2019s sick", "their son\u2019s sick"),
    "my best friend Anna moved to Berlin in march": (
        "your best friend Anna moved to Berlin in March",
        "their best friend Anna moved to Berlin in March",
    ),
    "he said I was useless": ("he said you were useless", "he said they were useless"),
    "my mother thinks i'm lazy": ("your mother thinks you\u2019re lazy", "their mother thinks they\u2019re lazy"),
    "my bf hits me sometimes": ("your boyfriend hits you sometimes", "their boyfriend hits them sometimes"),
    "its been 3 months since my nan died": (
        "it\u2019s been 3 months since your nan died",
        "it\u2019s been 3 months since their nan died",
    ),
    "my husband wont take time off": (
        "your husband won\u2019t take time off",
        "their husband won\u2019t take time off",
    ),
    "everyone laughed at me": ("everyone laughed at you", "everyone laughed at them"),
    "no one came to my party": ("no one came to your party", "no one came to their party"),
    "my hands were shaking when i opened the letter": (
        "your hands were shaking when you opened the letter",
        "their hands were shaking when they opened the letter",
    ),
    "My husband took a job that followed mine": (
        "your husband took a job that followed yours",
        "their husband took a job that followed theirs",
    ),
    "Yesterday my landlord sold the flat, is that even legal?": (
        "your landlord sold the flat",
        "their landlord sold the flat",
    ),
    "there is a stranger in my kitchen": (
        "there is a stranger in your kitchen",
        "there is a stranger in their kitchen",
    ),
    "the parking is the main thing i guess": ("the parking is the main thing", "the parking is the main thing"),
    "he never even LOOKED at me": ("he never even looked at you", "he never even looked at them"),
}
SELVES = {
    "i cant stop crying at work": ("you can\u2019t stop crying at work", "they can\u2019t stop crying at work"),
    "I'm scared of the dark": ("you\u2019re scared of the dark", "they\u2019re scared of the dark"),
    "I was alone all weekend.": ("you were alone all weekend", "they were alone all weekend"),
    "I just wasn\u2019t ready for it": ("you just weren\u2019t ready for it", "they just weren\u2019t ready for it"),
    "I am 72.": ("you are 72", "they are 72"),
    "i have been told by my doctor to rest": (
        "you have been told by your doctor to rest",
        "they have been told by their doctor to rest",
    ),
    "ive told nobody, not even my wife": None,
    "i locked myself in the bathroom": (
        "you locked yourself in the bathroom",
        "they locked themselves in the bathroom",
    ),
    "failed my driving test again": ("you failed your driving test again", "they failed their driving test again"),
    "Retired on Friday.": ("you retired on Friday", "they retired on Friday"),
    "cant sleep without the radio": (
        "you can\u2019t sleep without the radio",
        "they can\u2019t sleep without the radio",
    ),
    "honestly i think my boyfriend is cheating on me": (
        "you think your boyfriend is cheating on you",
        "they think their boyfriend is cheating on them",
    ),
    "i was gonna call him but i couldnt": ("you were going to call him", "they were going to call him"),
    "i woke up at 4 am": ("you woke up at 4 am", "they woke up at 4 am"),
    "i gave my dog to mum": ("you gave your dog to your mum", "they gave their dog to their mum"),
    "I feel like a burden to my family": (
        "you feel like a burden to your family",
        "they feel like a burden to their family",
    ),
    "all those years i wasn\u2019t lazy. I wasn't lazy": ("you weren\u2019t lazy", "they weren\u2019t lazy"),
    "i collect it so my mum doesn't see": None,
    "I'm a 46-year-old accountant": ("you\u2019re a 46-year-old accountant", "they\u2019re a 46-year-old accountant"),
    "I got an A in maths": ("you got an A in maths", "they got an A in maths"),
    "I like being alone and everyones acting like its an emergency": ("you like being alone", "they like being alone"),
}
NOTHING = [
    "",
    "...",
    "hi",
    "thanks, that helped",
    "what is the capital of France?",
    "Why does my boss hate me?",
    "my boss is nice, isn't he?",
    "if my boss fires me i lose my visa",
    "I wish my dad was here",
    "maybe my wife hates me",
    "Imagine my boss shouting at me",
    "I should have called her",
    "I would give anything to see him",
    "I need to get over it",
    "I'm a failure and a burden to my family",
    "I keep checking my phone like an idiot",
    "everyone hates me and its all my fault",
    "nobody likes me",
    "\u201cmy husband left me\u201d is what she said",
    "she says \u2018I hate you\u2019",
    "he was like i dont care",
    "my brother says go to Turkey",
    "My wife and I are separating",
    "We broke up on Sunday",
    "they laughed at my coat",
    "you never answer me",
    "my fucking landlord sold the flat",
    "My boss said, in front of everyone, that I am slow",
    "I want, more than anything, to sleep",
    "My parents divorce was hard",
    "Passed away on Sunday, my dad",
    "I went home and was sick",
    "my sister and I slept in one room",
    "i want to kill myself",
    "i dont want to be alive anymore",
    "that I sell the taxi and the caf\u00e9 fails and my wife is right",
    "Every time I call him I freeze",
    "it\u2019s fine",
    "I ain't been sleeping",
    "cant sleep its 3:50 my upstairs neighbour is practicing",
    "i drive the night bus in leeds been doing it 12 year",
    "my son called me by my name instead of dad",
    "i cut again",
    "Ich bin so traurig, weil meine Mutter gestorben ist",
    "Je suis triste et ma m\u00e8re est malade",
    "my ma is siek en ek is bang",
    "\u6211\u5f88\u96be\u8fc7",
]
QUOTES = {
    "I feel like a spare part everywhere. At work, at home.": ("I feel like a spare part everywhere",),
    "its been a week and i'm so lonely. hello": ("so lonely",),
    "she sits there like a parrot and talks": ("like a parrot",),
    "nobody noticed. great experiment": ("nobody noticed",),
    "so angry i could bite a table": ("so angry i could bite a table",),
    "she said \u2018you are so stupid\u2019": (),
    "do you think I am lonely?": (),
    "he kept saying i like a girl with red hair, and so on": (),
    "Everyone is so happy for me and I went home": (),
    "no friends in this whole city": ("no friends in this whole city",),
}
WHO = {
    "how do I tell my little brother": ["your little brother"],
    "my sister in law came": ["your sister in law"],
    "my cousins baby shower is near": [],
    "the landlord called, my son's teacher too": ["the landlord", "your son\u2019s teacher"],
    "My dog Max died": ["Max", "your dog"],
    "My husband's Parkinson's is worse": ["your husband"],
    "he calls \u2018my brother\u2019 a thief": [],
    "I feel like I sell my own kids": ["your kids"],
}
WHEN = {
    "gone since march, for three weeks, and last night he rang": ("since March", "for three weeks", "last night"),
    "thirty years ago and on sundays": ("thirty years ago", "on Sundays"),
    "in the last year of law school": (),
    "she is two years old": (),
    "two weeks\u2019 respite, tomorrow\u2019s mail": (),
}


def _told(found: Cuttings) -> list[Clause]:
    return [*found.events, *found.selves]


@pytest.mark.parametrize(("text", "turned"), EVENTS.items())
def test_what_others_did_is_turned(text: str, turned: tuple[str, str]) -> None:
    assert Clause(*turned) in cut(text).events


@pytest.mark.parametrize(("text", "turned"), SELVES.items())
def test_what_people_say_of_themselves_is_turned(text: str, turned: tuple[str, str] | None) -> None:
    found = cut(text)
    assert not found.events
    assert turned is None or found.selves[-1] == Clause(*turned)


@pytest.mark.parametrize("text", NOTHING)
def test_what_is_unsure_gives_no_clause(text: str) -> None:
    assert not _told(cut(text))


@pytest.mark.parametrize(("text", "quotes"), QUOTES.items())
def test_telling_words_are_quoted_as_written(text: str, quotes: tuple[str, ...]) -> None:
    assert cut(text).quotes == quotes


@pytest.mark.parametrize(("text", "who"), WHO.items())
def test_people_are_named_as_the_writer_names_them(text: str, who: list[str]) -> None:
    assert [each.second for each in cut(text).who] == who


@pytest.mark.parametrize(("text", "when"), WHEN.items())
def test_times_are_found(text: str, when: tuple[str, ...]) -> None:
    assert cut(text).when == when


def test_another_language_gives_nothing() -> None:
    assert cut("Mi madre est\u00e1 en el hospital y no puedo dormir por la noche") == Cuttings()


def test_swearing_is_kept_in_a_quotation() -> None:
    assert cut("My bloody boss is at it. I am so fucking tired").quotes == ("I am so fucking tired",)


def test_two_clauses_of_a_sentence_stand_apart() -> None:
    found = cut("i got fired on friday and my girlfriend left me the same week")
    assert [each.second for each in _told(found)] == [
        "your girlfriend left you the same week",
        "you got fired on Friday",
    ]


_PIECES = sorted({*EVENTS, *SELVES, *NOTHING, *QUOTES, *WHO, *WHEN})
_WORDS = sorted(
    {*chain.from_iterable(each.split() for each in _PIECES), ",", ".", "?", "and", "because", "\u2019", "'", '"'}
)
MESSAGES = st.one_of(
    st.text(),
    st.lists(st.sampled_from(_PIECES), max_size=4).map(" ".join),
    st.lists(st.sampled_from(_WORDS), max_size=40).map(" ".join),
)


@settings(max_examples=300, deadline=None)
@given(MESSAGES)
def test_clauses_never_speak_as_the_writer_and_keep_their_bounds(text: str) -> None:
    for each in _told(cut(text)):
        for turned in (each.second, each.third):
            assert not re.search(r"(?i)\b(?:i|me|my|mine|myself|we|us|our)\b", turned)
            assert 3 <= len(turned.split()) <= 14
        assert not re.search(r"(?i)\byou", each.third)


@settings(max_examples=300, deadline=None)
@given(MESSAGES)
def test_quotes_stand_in_the_message_and_are_short(text: str) -> None:
    for each in cut(text).quotes:
        assert each in text
        assert 1 <= len(each.split()) <= 7


@settings(max_examples=100, deadline=None)
@given(MESSAGES)
def test_the_same_message_gives_the_same_cuttings(text: str) -> None:
    assert cut(text) == cut(text)
