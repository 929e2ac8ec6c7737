"""`[PRESET|FILE] [KEY=VALUE ...]`, as every command that starts from a config takes it."""

from collections.abc import Callable

from finetune.words import phrase
from tooltune.config import Config, load_config
from tooltune.words import Language


def named(arguments: list[str] | None) -> tuple[str | None, list[str]]:
    """The preset or file, None when it is left out, and the overrides."""
    words = list(arguments or [])
    return (words[0], words[1:]) if words and "=" not in words[0] else (None, words)


def named_or_default(
    arguments: list[str] | None, say: Callable[[str], None], lang: Language = "en"
) -> tuple[str, list[str]]:
    """The same, the preset chosen by the device and said when it is left out."""
    source, overrides = named(arguments)
    if source is not None:
        return source, overrides
    from finetune.device import has_cuda

    cuda = has_cuda()
    preset = "6gb" if cuda else "cpu"
    say(phrase("preset.gpu" if cuda else "preset.cpu", preset=preset).text(lang))
    return preset, overrides


def config_from(arguments: list[str] | None, say: Callable[[str], None], lang: Language = "en") -> tuple[str, Config]:
    """The preset or file, chosen as above, and the config that it makes with the overrides.

    Raises:
        InputError: see `load_config`.
    """
    source, overrides = named_or_default(arguments, say, lang)
    return source, load_config(source, overrides)
