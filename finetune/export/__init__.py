"""A run for other programs: merged, as GGUF, or the adapter as GGUF; and the proof of the prompts they build."""

import logging

for _library in ("torchao", "bitsandbytes"):  # they tell of faster kernels that are not there, and are not asked for
    logging.getLogger(_library).setLevel(logging.ERROR)
