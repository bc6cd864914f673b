from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank.risk_patterns import Hit, denials_removed, hits, plain
from rerank.types import Category, Tier

CRISIS = {
    Category.SUICIDE: (
        "I want to kill myself",
        "im gonna kil my self tonight",
        "I'm going to k!ll myself",
        "i just want to fucking end my life",
        "thinking about commiting suiside again",
        "ngl gonna unalive tn",
        "kms tn fr",
        "I'm standing on the ledge",
        "i actually want to kms and i mean it",
        "Finally ready to ctb.",
        "I've decided to take my own life",
        "i took all my pills an hour ago",
        "I am going to hang myself when they leave",
        "going to jump off the bridge",
        "the gun is in my mouth",
        "I\u2019m going to kill\u200b myself",
        "quiero matarme",
        "me voy a suicidar esta noche",
        "voy a quitarme la vida",
        "me acabo de tomar todas las pastillas",
        "ich will mich umbringen",
        "Ich bring mich heute Nacht um",
        "ich moechte mir das leben nehmen",
        "je veux me suicider",
        "jvais me pendre ce soir",
        "J'ai décidé de mettre fin à mes jours",
        "vou me matar hoje",
        "quero tirar minha propria vida",
        "voglio uccidermi",
        "stasera la faccio finita",
        "ik wil een einde aan mijn leven maken",
        "ik ga zelfmoord plegen",
        "我今晚要自杀",
        "我準備跳樓",
        "遗书写好了",
        "मैं आत्महत्या करना चाहता हूँ",
        "main suicide karne ja raha hu",
        "aaj apni jaan le lunga",
        "أريد أن أنتحر",
        "سأقتل نفسي الليلة",
        "я хочу покончить с собой",  # noqa: RUF001 - Cyrillic
        "сегодня ночью я повешусь",
        "intihar edeceğim",
        "Köprüdeyim, birazdan atlayacağım",  # noqa: RUF001 - Turkish
        "chcę się zabić",
        "popełnię samobójstwo",
        "自殺します",
        "今夜、死のうと思っています",
    ),
    Category.SELF_HARM: (
        "I cut my wrist too deep and it won't stop bleeding",
        "im cutting myself right now",
        "me corté muy hondo y no para de sangrar",
        "hab mich zu tief geschnitten",
        "我刚才又割了手腕",
        "手首を深く切っちゃった",
    ),
    Category.HARM_TO_OTHERS: (
        "I'm going to stab him in his sleep",
        "gonna shoot up my school",
        "I want to drown my baby",
        "lo voy a matar esta noche con un cuchillo",
        "我要杀了他,刀已经买好了",
    ),
    Category.ABUSE: (
        "he's choking me again",
        "my husband beat me again last night",
        "She said she will kill me if I leave",
        "he put a knife to my throat",
        "mi marido me pegó otra vez anoche",
        "er sagt er bringt mich um wenn ich gehe",
        "il a dit qu'il va me tuer",
        "meu marido me bate",
        "mio marito mi picchia",
        "kocam beni dövüyor",
        "он меня избил опять",
        "زوجي يضربني كل يوم",
        "他刚刚掐着我的脖子",
        "pati roz mujhe maarte hai",
    ),
    Category.MEDICAL: (
        "she is not breathing",
        "my chest hurts and my left arm is numb, chest pain and sweating",
        "I keep throwing up blood",
        "the baby has gone blue",
        "no puede respirar, tiene los labios morados",
        "er atmet nicht mehr",
    ),
    Category.EATING: (
        "I've been purging all week and today I fainted",
        "haven't eaten anything in 5 days and I keep passing out",
    ),
    Category.PSYCHOSIS: (
        "the voices are telling me to jump",
        "God told me to kill my mother",
        "las voces me dicen que me tire",
        "die Stimmen sagen ich soll springen und mich umbringen",
    ),
    Category.THIRD_PARTY: (
        "my best friend says she's going to kill herself",
        "my son took a load of tablets",
        "mi amiga se quiere matar",
        "meine Freundin will sich umbringen",
        "ma soeur veut se suicider",
    ),
    Category.MINOR: (
        "im 12 and my stepdad touches me at night",
        "i'm 13 and he says he will send my nudes to my school unless i come",
        "tengo 12 años y mi tío me toca",
    ),
}
CONCERN = (
    "I want to die",
    "i dont want to live anymore",
    "I wish I was dead",
    "everyone would be better off without me",
    "I want to cut myself",
    "I've been making myself throw up",
    "my husband hits me",
    "quiero morirme",
    "ya no quiero vivir",
    "je veux mourrir",
    "j'ai plus envie de vivre",
    "ich will nicht mehr leben",
    "ich wäre lieber tot",
    "quero morrer",
    "nao quero mais viver",
    "non voglio più vivere",
    "ik wil niet meer leven",
    "我真的想死",
    "不想活了",
    "marna chahta hoon",
    "मैं जीना नहीं चाहता",
    "لا أريد أن أعيش",
    "не хочу жить",
    "yaşamak istemiyorum",
    "nie chcę już żyć",
    "死にたい",
    "もう生きていたくない",
)
IDLE = (
    "this thesis is killing me",
    "I could kill him, he ate my sandwich",
    "dying to see it",
    "I'd kill for a coffee",
    "I wanted to die of embarrassment",
    "this meeting makes me want to kill myself",
    "I'm not going to kill myself",
    "i never wanted to kill myself",
    "I don't want to die",
    "I cut myself shaving again",
    "died 14 times to the same boss lol",
    "my uncle killed himself when I was small",
    "shot myself in the foot at work",
    "I want to end it with my boyfriend",
    "加班加到想死",
    "我不会自杀的",
    "想死你了",
    "casi me muero de risa",
    "no quiero morir",
    "me muero de hambre",
    "ich will nicht sterben",
    "ich bring mich nicht um",
    "der Chef bringt mich um den Verstand",
    "morte de rire",
    "je veux pas mourir",
    "não quero morrer",
    "non voglio morire",
    "ik lach me dood",
    "умираю со смеху",  # noqa: RUF001 - Cyrillic
    "не хочу умирать",
    "gülmekten öldüm",
    "umieram ze śmiechu",
    "has has ke mar gaya",
    "أموت من الضحك",
)
DISTANT = (
    "In my novel the villain says: I want to kill myself.",
    "my character is going to hang himself, he says I'm going to end my life tonight",
    "Ten years ago I wanted to kill myself and now I have two kids.",
    "When I was 16 I tried to kill myself again and again.",
    "en mi novela el protagonista dice: quiero matarme",
    "Mein Krimi: die Hauptfigur sagt, ich will mich umbringen.",
    "Vor zehn Jahren wollte ich mich umbringen.",
    "mon personnage dit: je veux me suicider",
    "我的小说里主角说今晚要自杀",
    "小説の主人公が自殺します",
    "в моём романе герой говорит: я хочу покончить с собой",  # noqa: RUF001 - Cyrillic
)
DENIALS = (
    "I'm not suicidal.",
    "I wouldn't do anything.",
    "don't worry about me",
    "just kidding",
    "jk",
    "no es nada",
    "Keine Sorge.",
    "t'inquiète pas",
    "não se preocupa",
    "non preoccuparti",
    "geen zorgen",
    "别担心",
    "चिंता मत करो",
    "chinta mat karo",
    "لا تقلق",
    "не волнуйся",
    "merak etme",
    "nie martw się",
    "冗談です",
)


def floors(text: str) -> list[Hit]:
    return [each for each in hits(text) if each.floor]


@pytest.mark.parametrize(("category", "text"), [(each, text) for each, texts in CRISIS.items() for text in texts])
def test_explicit_danger_sets_the_crisis_tier(category: Category, text: str) -> None:
    assert any(each.tier is Tier.CRISIS for each in floors(text)), category


@pytest.mark.parametrize("text", CONCERN)
def test_an_explicit_wish_or_injury_sets_at_least_the_concern_tier(text: str) -> None:
    assert floors(text)


@pytest.mark.parametrize("text", IDLE)
def test_an_idiom_or_a_negation_sets_no_tier(text: str) -> None:
    assert floors(text) == []


@pytest.mark.parametrize("text", DISTANT)
def test_what_is_a_story_or_long_past_sets_no_tier_but_is_still_pointed_at(text: str) -> None:
    assert hits(text)
    assert floors(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "Ten years ago my dad left us. I am going to kill myself tonight.",
        "I'm not going to lie. I want to kill myself.",
        "I said I'm not going to kill myself but I am going to kill myself.",
        "I can't sleep and want to kill myself",
        "don't worry about me, i'm going to kill myself tonight",
        "I watched a film and I am going to kill myself tonight",
        "vi una película y esta noche quiero matarme",
    ],
)
def test_a_word_of_distance_or_denial_elsewhere_disarms_nothing(text: str) -> None:
    assert any(each.tier is Tier.CRISIS for each in floors(text))


@pytest.mark.parametrize("text", DENIALS)
def test_a_sentence_that_denies_is_taken_out(text: str) -> None:
    assert denials_removed(text) == ""


@pytest.mark.parametrize("text", DENIALS)
def test_a_denial_alone_sets_no_tier(text: str) -> None:
    assert floors(text) == []


def test_what_stands_beside_a_denial_is_kept() -> None:
    said = "I gave the dog to my sister. I'm not suicidal, don't worry! The letters are on the table"
    assert denials_removed(said) == "I gave the dog to my sister. The letters are on the table"


@pytest.mark.parametrize(
    "text",
    ["I gave my guitar away", "the pills are on the table", "他把猫送给了我", "le he dejado una carta", "die Brücke"],
)
def test_a_weak_sign_is_pointed_at_and_sets_no_tier(text: str) -> None:
    assert hits(text)
    assert floors(text) == []


@pytest.mark.parametrize(
    "text", ["", "  ", "what a lovely day", "今天天气很好", "ماذا نأكل", "\u0130stanbul çok güzel"]
)
def test_an_ordinary_message_has_no_hits(text: str) -> None:
    assert hits(text) == []


def test_a_hit_shows_the_persons_own_words_around_it() -> None:
    (hit,) = floors("Größe 12. " + "x" * 100 + " Ich WILL mich umbringen. " + "y" * 100)
    assert hit.category is Category.SUICIDE
    assert "WILL mich umbringen" in hit.words
    assert len(hit.words) < 120


@given(st.text(max_size=300))
def test_any_text_is_read_on_one_line_without_changing_it_twice(text: str) -> None:
    assert plain(plain(text)) == plain(text)
    assert "\n" not in plain(text)
    for hit in hits(text):
        assert hit.words in plain(text)


@pytest.mark.parametrize(
    "text",
    [
        " " * 20_000,
        "a" * 20_000,
        "a " * 10_000,
        "i want to " * 2000,
        "he has my " * 2000,
        "i am not really just " * 1000,
        "my friend my friend " * 1000,
        "want to want to die not " * 800,
        "😂" * 20_000,
        "他说" * 10_000,
        "मुझे " * 4000,
        "я не хочу " * 2000,
        "لا أريد " * 2000,
        "死" * 20_000,
        "years ago " * 2000,
        "." * 20_000,
        "'" * 20_000,
    ],
    ids=lambda text: text[:12].strip() or "spaces",
)
def test_hostile_text_is_read_in_time(text: str) -> None:
    hits("warm")
    before = perf_counter()
    hits(text)
    denials_removed(text)
    assert perf_counter() - before < 2
