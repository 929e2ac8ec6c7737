"""From a model's name to a local folder: a folder as it is, an embedded model, the hub's cache, or the hub."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data.embedded import EMBEDDED, embedded, embedded_model
from data.errors import InputError
from data.licence import PATTERNS

__all__ = ["EMBEDDED", "embedded", "load_tokenizer", "resolve"]

_WANTED = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", *PATTERNS]
_WAYS_OUT = (
    "give a local folder (model.name=PATH), fetch it once where there is a network, or use the embedded model "
    "(model.name=embedded)"
)


def resolve(name: str, say: Callable[[str], None] = lambda _: None) -> Path:
    """The absolute folder of a model, fetched first where needed.

    An absolute folder also keeps Unsloth from exchanging the model for another repository of its own.

    Raises:
        InputError: the folder is not a model, or a hub model can be neither reached nor found in the cache.
    """
    if model := embedded(name):
        return embedded_model(model, say)
    folder = Path(name).expanduser()
    if folder.exists():
        return _checked(folder.resolve())
    looks_local = folder.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1 or "\\" in name
    if looks_local:
        raise InputError(f"{name!r} is no folder, and no name of a hub model", where="model.name", fix=_WAYS_OUT)
    return _from_hub(name, say)


def _checked(folder: Path) -> Path:
    if not (folder / "config.json").is_file():
        hint = "it holds an adapter: name its base model" if (folder / "adapter_config.json").exists() else ""
        raise InputError(
            f"not a model folder: it has no config.json{'; ' if hint else ''}{hint}",
            where=str(folder),
            fix="give the folder that save_pretrained wrote",
        )
    if not (any(folder.glob("tokenizer*.json")) or any(folder.glob("*.model"))):
        raise InputError("the model folder has no tokenizer", where=str(folder), fix="copy the tokenizer's files there")
    return folder


def _from_hub(name: str, say: Callable[[str], None]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True, allow_patterns=_WANTED)).resolve()
    except LocalEntryNotFoundError:
        pass
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("0", ""):
        raise InputError(f"{name} is not in the cache, and HF_HUB_OFFLINE is set", where="model.name", fix=_WAYS_OUT)
    say(f"Fetching {name} from the hub (once) …")
    try:
        return Path(snapshot_download(name, allow_patterns=_WANTED)).resolve()
    except GatedRepoError:
        raise InputError(f"{name} is gated: accept its licence on the hub and log in", where="model.name") from None
    except RepositoryNotFoundError:
        raise InputError(f"the hub knows no model {name!r}", where="model.name", fix=_WAYS_OUT) from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as e:
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise InputError(
            f"{name} is not in the cache and the hub cannot be reached ({reason})", where="model.name", fix=_WAYS_OUT
        ) from None


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a model folder, with a padding token that is not its end token.

    Raises:
        InputError: it cannot be loaded, is not a fast one, or has no token to pad with.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as e:
        raise InputError(f"the tokenizer cannot be loaded: {str(e).splitlines()[0]}", where=str(folder)) from None
    if not tokenizer.is_fast:
        raise InputError("the tokenizer gives no character offsets (not a fast one)", where=str(folder))
    if tokenizer.pad_token is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        # Padding is masked; were it the end token, the model would never learn to stop.
        spare = [t for t in tokenizer.get_added_vocab() if "pad" in t.lower() and t != tokenizer.eos_token]
        if not spare:
            raise InputError("no token to pad with: the padding token is the end token", where=str(folder))
        tokenizer.pad_token = sorted(spare)[0]
    tokenizer.padding_side = "right"
    return tokenizer
