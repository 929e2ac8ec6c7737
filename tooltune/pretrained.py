"""From a model's name to a local folder: a folder as it is, an embedded model, the hub's cache, or the hub."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from tooltune.embedded import EMBEDDED, embedded, embedded_model
from tooltune.embedded.words import phrase
from tooltune.errors import InputError
from tooltune.files import user_path
from tooltune.licence import PATTERNS
from tooltune.words import Say

__all__ = ["EMBEDDED", "check_files", "embedded", "load_tokenizer", "own_template", "resolve"]

_WANTED = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", *PATTERNS]
_WEIGHTS = "*model*.safetensors"
_MAX_HEADER = 100_000_000  # as the library has it
_LOADED = ("model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors")
_SAMPLE = 256
"""Bytes at each end of a tensor that `weights_digest` looks at."""
_SETTINGS = (
    *("config.json", "generation_config.json", "adapter_config.json"),
    *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    "model.safetensors.index.json",
)
TURN_ENDS = ("<|im_end|>", "<end_of_turn>")
TURN_STARTS = ("<|im_start|>", "<start_of_turn>")
"""Tokens around a turn of the project's template, where the vocabulary has them."""
_PADDING = (
    r"(<pad>|\[PAD\]|<\|pad\|>|<\|finetune_right_pad_id\|>)$",
    r".*pad",
    r".*(reserved|unused|placeholder|control_)",
)
"""Names of tokens to pad with, the best first; then any special token that ends or begins nothing."""
_WAYS_OUT = (
    "give a local folder (model.name=PATH), fetch it once where there is a network, or use the embedded model "
    "(model.name=embedded)"
)


def resolve(name: str, say: Say = lambda _: None, *, weights: bool = True) -> Path:
    """The absolute folder of a model, fetched first where needed; its files are whole as far as their heads tell.

    An absolute folder also keeps Unsloth from exchanging the model for another repository of its own.

    Args:
        weights: false where config and tokenizer are enough.

    Raises:
        InputError: the folder is not a model, one of its files is cut off or a Git LFS pointer, or a hub model can be
            neither reached nor found whole in the cache.
    """
    if model := embedded(name):
        return embedded_model(model, say)
    folder = user_path(name)
    if os.path.exists(folder):  # noqa: PTH110 - Path.exists raises where a name is too long
        return _checked(folder.resolve(), weights)
    looks_local = folder.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1 or "\\" in name
    if looks_local:
        raise InputError(f"{name!r} is neither a folder nor a model on the hub", where="model.name", fix=_WAYS_OUT)
    return _from_hub(name, say, weights)


def _checked(folder: Path, weights: bool) -> Path:
    if not (folder / "config.json").is_file():
        hint = "it holds an adapter: name its base model" if (folder / "adapter_config.json").exists() else ""
        raise InputError(
            f"not a model folder: it has no config.json{'; ' if hint else ''}{hint}",
            where=str(folder),
            fix="give the folder that save_pretrained wrote",
        )
    if not _has_tokenizer(folder):
        raise InputError("the model folder has no tokenizer", where=str(folder), fix="copy the tokenizer's files there")
    check_files(folder, weights=weights)
    return folder


def _has_tokenizer(folder: Path) -> bool:
    return any(folder.glob("tokenizer*.json")) or any(folder.glob("*.model"))


def check_files(folder: Path, *, weights: bool = True) -> None:
    """Look at the heads of a model's or an adapter's files: none is a Git LFS pointer, safetensors files have the
    length that they state, and each that an index of weights names is there.

    Weights are read from safetensors alone: the older formats (.bin, .pt, .ckpt) are pickles, which are programs.

    Raises:
        InputError: the first file that is not whole, or no weights as safetensors.
    """
    files = [folder / name for name in _SETTINGS]
    files += [folder / "tokenizer.json"] if (folder / "tokenizer.json").exists() else sorted(folder.glob("*.model"))
    if weights:
        files += sorted(folder.glob(_WEIGHTS))
    faults = [(path.name, fault) for path in files if path.exists() and (fault := _fault(path))]
    if weights and not faults:
        faults = [(name, "is missing") for name in _absent_weights(folder)]
    if faults:
        name, fault = faults[0]
        raise InputError(
            f"the model cannot be loaded: {name} {fault}",
            where=str(folder),
            fix="delete that file, if it is there, and fetch it again",
        )
    if weights and not any((folder / name).is_file() for name in _LOADED):
        raise InputError(
            "no weights as safetensors; other formats are pickles, which can run code when they are loaded",
            where=str(folder),
            fix="fetch the model's .safetensors files, or convert it: https://huggingface.co/spaces/safetensors/convert",
        )


def _fault(path: Path) -> str:
    """What is wrong with a file, from its first bytes and its length; empty where nothing is."""
    size = path.stat().st_size
    with path.open("rb") as f:
        head = f.read(64)
        if head.startswith(b"version https://git-lfs"):
            return "is a Git LFS pointer, not the file (git lfs pull)"
        if not head:
            return "is empty"
        if path.name in _SETTINGS:
            f.seek(0)
            try:
                value = json.load(f)
            except (ValueError, RecursionError) as e:
                return f"is cut off or no JSON ({e})"
            if not isinstance(value, dict):
                return "is no JSON object"
            return "names files that are not beside it" if not _beside(value.get("weight_map", {})) else ""
        if path.suffix != ".safetensors":
            return ""
        # https://huggingface.co/docs/safetensors: eight bytes with the length of the header, then the header, then data
        length = int.from_bytes(head[:8], "little")
        f.seek(8)
        if len(head) < 8 or length > size - 8:
            return f"is cut off or no safetensors file ({size} bytes)"
        if length > _MAX_HEADER:
            return f"has a header of {length} bytes, which safetensors does not read"
        try:
            header = json.loads(f.read(length))
            ends = [int(t["data_offsets"][1]) for name, t in header.items() if name != "__metadata__"]
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError):
            return "has a broken header"
    wanted = 8 + length + max(ends, default=0)
    return f"is cut off: {size} bytes of {wanted}" if size < wanted else ""


def _beside(weight_map: Any) -> bool:
    """Whether an index names plain files of its own folder."""
    names = weight_map.values() if isinstance(weight_map, dict) else [None]
    return all(isinstance(name, str) and name and not set(name) & set("/\\\0") and name != ".." for name in names)


def _absent_weights(folder: Path) -> list[str]:
    """The files of weights that an index names and that are not there, or the index itself."""
    if (folder / "model.safetensors").is_file():
        return []
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = set(json.loads(index.read_text(encoding="utf-8")).get("weight_map", {}).values())
        return sorted(name for name in names if not (folder / name).is_file())
    return [index.name] if any(folder.glob("model-*-of-*.safetensors")) else []


def _is_whole(snapshot: Path, weights: bool) -> bool:
    """Whether a snapshot of the hub's cache has all that a model needs: one made by a single file's load has not."""
    some = any(path.is_file() for path in snapshot.glob(_WEIGHTS)) and not _absent_weights(snapshot)
    return (snapshot / "config.json").is_file() and _has_tokenizer(snapshot) and (some or not weights)


def _from_hub(name: str, say: Say, weights: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        IncompleteSnapshotError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    wanted = _WANTED if weights else _WANTED[1:]
    state = "not in the cache"
    try:
        found = Path(snapshot_download(name, local_files_only=True, allow_patterns=wanted)).resolve()
        if _is_whole(found, weights):
            check_files(found, weights=weights)
            return found
        state = "only half in the cache"
    except IncompleteSnapshotError:
        state = "only half in the cache"
    except LocalEntryNotFoundError:
        pass
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("0", ""):
        raise InputError(f"{name} is {state}, and HF_HUB_OFFLINE is set", where="model.name", fix=_WAYS_OUT)
    say(phrase("hub", name=name))
    try:
        found = Path(snapshot_download(name, allow_patterns=wanted)).resolve()
    except GatedRepoError:
        raise InputError(f"{name} is gated: accept its licence on the hub and log in", where="model.name") from None
    except RepositoryNotFoundError:
        raise InputError(f"there is no model {name!r} on the hub", where="model.name", fix=_WAYS_OUT) from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as e:
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise InputError(
            f"{name} is {state} and the hub cannot be reached ({reason})", where="model.name", fix=_WAYS_OUT
        ) from None
    if not _is_whole(found, weights):
        raise InputError(
            f"{name} has no weights as safetensors, no config.json or no tokenizer on the hub",
            where="model.name",
            fix="name a repository that transformers can load (not GGUF, not an adapter)",
        )
    check_files(found, weights=weights)
    return found


def weights_digest(folder: Path) -> str | None:
    """What tells a model's weights from others, whatever folder and files they are in: SHA-256 over name, type, shape
    and first and last bytes of every tensor, in order of name; None where there are no safetensors files."""
    found = {}
    for path in folder.glob(_WEIGHTS):
        with path.open("rb") as f:
            length = int.from_bytes(f.read(8), "little")
            header = json.loads(f.read(length))
            header.pop("__metadata__", None)
            for name, tensor in header.items():
                begin, end = tensor["data_offsets"]
                samples = []
                for start in (begin, max(begin, end - _SAMPLE)):
                    f.seek(8 + length + start)
                    samples.append(f.read(min(_SAMPLE, end - start)).hex())
                found[name] = [tensor["dtype"], tensor["shape"], *samples]
    return hashlib.sha256(json.dumps(sorted(found.items())).encode()).hexdigest() if found else None


def load_tokenizer(folder: Path, say: Say = lambda _: None) -> Any:
    """The tokenizer of a model folder, with a padding token that is not its end token, and one chat template.

    Args:
        say: told where another token has to pad than the tokenizer's own.

    Raises:
        InputError: it cannot be loaded, is not a fast one, or has no token to pad with.
    """
    from transformers import AutoTokenizer

    check_files(folder, weights=False)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as e:  # tokenizers raises the bare class for a file that it cannot read
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise InputError(
            f"the tokenizer cannot be loaded: {reason}",
            where=str(folder),
            fix="fetch its files again: tokenizer.json, tokenizer_config.json",
        ) from e
    if not tokenizer.is_fast:
        raise InputError("the tokenizer gives no character offsets (not a fast one)", where=str(folder))
    tokenizer.chat_template = own_template(tokenizer)
    # Padding is masked; were it the end token, the model would never learn to stop.
    if tokenizer.pad_token is None or tokenizer.pad_token in (tokenizer.eos_token, *TURN_ENDS):
        own, tokenizer.pad_token = tokenizer.pad_token, _spare_token(tokenizer, folder)
        say(phrase("padding.none" if own is None else "padding.end", own=own, token=tokenizer.pad_token))
    tokenizer.padding_side = "right"
    return tokenizer


def own_template(tokenizer: Any) -> str | None:
    """The tokenizer's own chat template; of several by name the one for tools, else the usual one, else the first."""
    own: str | dict[str, str] | None = tokenizer.chat_template
    if isinstance(own, dict):
        return own.get("tool_use") or own.get("default") or next(iter(own.values()), None)
    return own


def _spare_token(tokenizer: Any, folder: Path) -> str:
    """A token to pad with that no row needs: by its name, else a special one that neither ends nor begins anything."""
    marks = {tokenizer.eos_token, tokenizer.bos_token, *TURN_ENDS, *TURN_STARTS}
    template = tokenizer.chat_template or ""
    added = {t.content: t.special for t in tokenizer.added_tokens_decoder.values() if t.content not in marks}
    free: list[str] = sorted(t for t in added if t not in template)
    for pattern in _PADDING:
        if named := [t for t in free if re.match(pattern, t, re.IGNORECASE)]:
            return named[0]
    if special := [t for t in free if added[t]]:
        # "<|endoftext|>" and "<unk>" before marks of code, pictures or tools
        return min(special, key=lambda t: (t != "<|endoftext|>", t != tokenizer.unk_token, t))
    raise InputError(
        "no token to pad with: the tokenizer has none besides its end token",
        where=str(folder),
        fix='name one that rows never hold in tokenizer_config.json: "pad_token": "…"',
    )
