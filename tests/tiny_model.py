"""Makes the tiny models that the tests serve: a base that answers in Attune's formats and two adapters for it.

It runs with the Python of vLLM's environment, which has torch and transformers:

    .venv-vllm/bin/python tests/tiny_model.py OUT_FOLDER

The base is a Qwen2 of under a million weights, trained for less than a minute on made-up sentences. What kind of
answer is wanted, its chat template reads from the last user message, and it says so in one token at the very end of
the prompt; so the model need not find three words in a thousand, and a prompt of any length gets the right kind:

- "five digits": five digits from 0 to 4 and the end;
- "Score:": a sentence, the line "Score: 3", and the end;
- "Answer with": one digit from 1 to 5 and the end;
- anything else: "# Analysis", a sentence or two, "# Response", one to three sentences, and the end.

The more of the warm sentences below there are in what is judged, the higher are the digits. The two adapters are
random: they say other things than the base, in the same formats.
"""

import argparse
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

ROOT = Path(__file__).parent.parent
SEED = 7
TOKENS_A_STEP = 4096
SHARPER = 1.5
RANK = 8
SCALE = {"calm": 0.8, "brisk": 0.8}

TEMPLATE = """\
{%- set seen = namespace(kind='') -%}
{%- macro head() -%}<|im_start|>assistant\n{{ seen.kind }}{%- endmacro -%}
{%- for message in messages -%}
{%- if message['role'] == 'user' -%}
{%- if 'five digits' in message['content'] -%}{%- set seen.kind = '<|parts|>' -%}
{%- elif 'Score:' in message['content'] -%}{%- set seen.kind = '<|rationale|>' -%}
{%- elif 'Answer with' in message['content'] -%}{%- set seen.kind = '<|digit|>' -%}
{%- else -%}{%- set seen.kind = '' -%}{%- endif -%}
{%- endif -%}
{%- if message['role'] == 'assistant' -%}{{ head() }}
{%- else -%}{{ '<|im_start|>' + message['role'] + '\n' }}{%- endif -%}
{{ message['content'] + '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ head() }}{%- endif -%}
"""
KINDS = ("", "<|parts|>", "<|rationale|>", "<|digit|>")
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *KINDS[1:]]

FEELINGS = ["tired", "alone", "afraid", "angry", "sad", "ashamed", "lost", "worried", "numb", "torn"]
CAUSES = ["work", "a friend", "the family", "the past week", "a loss", "money", "a quarrel", "the nights", "school"]
NEEDS = ["to be heard", "some rest", "a small plan", "to feel safe", "time", "to be believed", "a kind word"]
WARM = [
    "That sounds {feeling}, and it makes sense after {cause}.",
    "I am here with you, and we can go slowly.",
    "Thank you for telling me about {cause}.",
    "You deserve {need}, and you do not have to carry {cause} by yourself.",
]
COOL = [
    "Try to write down what {cause} does to you.",
    "Many people are {feeling} about {cause}.",
    "You should look for {need} soon.",
    "What would help most with {cause} today?",
]
ANALYSIS = [
    "The person is {feeling} because of {cause}, and wants {need}.",
    "They speak of {cause} and sound {feeling}. What they need is {need}.",
    "Under the words about {cause} the person feels {feeling} and {feeling}.",
    "They do not ask for advice. They want {need} after {cause}.",
]
REASONS = ["The reply names what is {feeling} about {cause}.", "It offers {need}, but says little about {cause}."]


class Example(NamedTuple):
    """A conversation's tokens, and how many of them at the end are the answer."""

    tokens: list[int]
    answer: int


def project_text() -> list[str]:
    """The words that the prompts are made of."""
    return [path.read_text(encoding="utf-8") for path in sorted((ROOT / "rerank" / "data").glob("*.md"))]


def code_text() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("*/*.py"))]


def make_tokenizer(vocabulary: int, texts: list[str]) -> PreTrainedTokenizerFast:
    digits, bytewise = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence([digits, bytewise])
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bpe, eos_token=SPECIAL[2], pad_token=SPECIAL[0]
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def make_model(tokenizer: PreTrainedTokenizerFast, vocabulary: int, hidden: int, layers: int) -> Qwen2ForCausalLM:
    head = 64 if hidden >= 256 else 32
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=hidden * 3,
        num_hidden_layers=layers,
        num_attention_heads=hidden // head,
        num_key_value_heads=hidden // head // 2,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        initializer_range=0.05,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Qwen2ForCausalLM(config)


def sentences(chance: random.Random, patterns: list[str], count: int) -> str:
    def fill(pattern: str) -> str:
        for name, words in (("{feeling}", FEELINGS), ("{cause}", CAUSES), ("{need}", NEEDS)):
            while name in pattern:
                pattern = pattern.replace(name, chance.choice(words), 1)
        return pattern

    return " ".join(fill(pattern) for pattern in chance.sample(patterns, count))


def reply(chance: random.Random, warm: int, cool: int) -> str:
    analysis = sentences(chance, ANALYSIS, chance.choice((1, 1, 2)))
    said = " ".join(filter(None, (sentences(chance, WARM, warm), sentences(chance, COOL, cool))))
    return f"# Analysis\n{analysis}\n\n# Response\n{said}"


def warm_and_cool(chance: random.Random) -> tuple[int, int]:
    return chance.choice(((0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (3, 0)))


def digit(chance: random.Random, warm: int, lowest: int, highest: int) -> str:
    return str(min(highest, max(lowest, round(chance.gauss(lowest + 1.0 + warm, 1.0)))))


def examples(
    chance: random.Random, tokenizer: PreTrainedTokenizerFast, noise: list[int], length: int
) -> Iterator[Example]:
    """Conversations of about `length` tokens of anything, each with an answer of the kind its last token asks for."""

    def encode(text: str) -> list[int]:
        return list(tokenizer.encode(text))

    def anything(count: int) -> list[int]:
        tokens: list[int] = []
        while len(tokens) < count:
            start, some = chance.randrange(len(noise) - 80), chance.randint(5, 80)
            tokens += noise[start : start + some]
            tokens += [chance.randrange(len(SPECIAL), len(tokenizer)) for _ in range(chance.choice((0, 0, 3, 12)))]
        return tokens[:count]

    while True:
        count = chance.randint(max(8, length // 3), length)
        system = chance.randrange(count)
        kind = chance.choice((*KINDS, "", ""))
        warm, cool = warm_and_cool(chance)
        asked = anything(count - system)
        if kind:
            place = chance.randrange(len(asked) + 1)
            asked[place:place] = encode("\n" + reply(chance, warm, cool).split("# Response\n")[1] + "\n")
            if chance.random() < 0.5:  # the person whom the reply answers writes in such sentences too
                asked[:0] = encode(sentences(chance, ANALYSIS, 1))
        prompt = encode("<|im_start|>system\n") + anything(system) + encode("<|im_end|>\n<|im_start|>user\n") + asked
        prompt += encode(f"<|im_end|>\n<|im_start|>assistant\n{kind}")
        if kind == "<|parts|>":
            answer = "".join(digit(chance, warm, 0, 4) for _ in range(5))
        elif kind == "<|rationale|>":
            answer = f"{sentences(chance, REASONS, 1)}\nScore: {digit(chance, warm, 1, 5)}"
        elif kind == "<|digit|>":
            answer = digit(chance, warm, 1, 5)
        else:
            answer = reply(chance, warm, cool)
        tokens = encode(answer + "<|im_end|>")
        yield Example(prompt + tokens, len(tokens))


def train(
    model: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    texts: list[str],
    steps: int,
    tell: Callable[[str], object],
) -> None:
    """Learn the answers alone, a step on many short conversations and the next on a few long ones."""
    chance = random.Random(SEED)
    noise = list(tokenizer.encode("\n".join(texts)))
    peak = 4e-3
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, betas=(0.9, 0.98), weight_decay=0.01)
    for step in range(steps):
        rate = min(1.0, (step + 1) / 20) * min(1.0, (steps - step) / (steps * 0.6))
        for group in optimizer.param_groups:
            group["lr"] = peak * rate
        length = (48, 48, 300, 48, 48, 1400)[step % 6]
        source = examples(chance, tokenizer, noise, length)
        batch = [next(source) for _ in range(max(4, TOKENS_A_STEP // (length + 100)))]
        width = max(len(example.tokens) for example in batch)
        tokens = torch.zeros(len(batch), width, dtype=torch.long)
        wanted = torch.zeros(len(batch), width, dtype=torch.bool)
        for row, example in enumerate(batch):
            tokens[row, : len(example.tokens)] = torch.tensor(example.tokens)
            wanted[row, len(example.tokens) - example.answer : len(example.tokens)] = True
        hidden = model.model(input_ids=tokens, use_cache=False).last_hidden_state[:, :-1][wanted[:, 1:]]
        loss = cross_entropy(model.lm_head(hidden), tokens[:, 1:][wanted[:, 1:]])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 20 == 0 or step == steps - 1:
            tell(f"step {step}: loss {loss.item():.3f}")
    # What it has not learned well it says seldom: at temperature 1 it now speaks as it would at 1 / SHARPER.
    with torch.no_grad():
        model.model.norm.weight.mul_(SHARPER)


def save_adapter(folder: Path, model: Qwen2ForCausalLM, scale: float, seed: int) -> None:
    """A random one of rank 8 on the queries and the values, in peft's layout."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, module in model.named_modules():
        if name.endswith(("q_proj", "v_proj")):
            key = f"base_model.model.{name}"
            down = torch.randn(RANK, module.in_features, generator=generator) / module.in_features**0.5
            up = torch.randn(module.out_features, RANK, generator=generator) / RANK**0.5
            size = module.weight.detach().norm() / module.in_features**0.5 / module.out_features**0.5
            weights[f"{key}.lora_A.weight"] = down.to(torch.bfloat16).contiguous()
            weights[f"{key}.lora_B.weight"] = (scale * size * up * module.in_features**0.5).to(torch.bfloat16)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "base_model_name_or_path": "base",
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "lora_alpha": RANK,
        "lora_dropout": 0.0,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": RANK,
        "target_modules": ["q_proj", "v_proj"],
        "task_type": "CAUSAL_LM",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the tiny models that the tests serve.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--vocab", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--untrained", action="store_true", help="random weights, for benchmarks")
    parser.add_argument("--verbose", action="store_true")
    wanted = parser.parse_args()

    torch.manual_seed(SEED)
    texts = project_text()
    chance = random.Random(SEED)
    spoken = [
        reply(chance, 2, 2) + "\n" + sentences(chance, REASONS, 2) + "\nScore: 3 user assistant system"
        for _ in range(100)
    ]
    tokenizer = make_tokenizer(wanted.vocab, [*texts, *spoken, *(code_text() if wanted.untrained else [])])
    model = make_model(tokenizer, wanted.vocab, wanted.hidden, wanted.layers)
    if not wanted.untrained:
        train(model, tokenizer, texts, wanted.steps, print if wanted.verbose else lambda _: None)
    model.bfloat16().save_pretrained(wanted.out / "base")
    tokenizer.save_pretrained(wanted.out / "base")
    for seed, (name, scale) in enumerate(SCALE.items()):
        save_adapter(wanted.out / name, model, scale, seed)


if __name__ == "__main__":
    main()
