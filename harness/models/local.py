"""Weights on this machine, loaded once: a folder, a Hugging Face id or the bundled file, through transformers.

Only safetensors and GGUF are read; code that comes with weights is never run.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from harness.errors import MissingModel, UserError
from harness.holds import hold_always
from harness.models import bundled
from harness.models.base import Message, ModelDescription, ModelIdentity
from harness.models.device import Machine, device_memory, machine

SETTINGS = ("*.json", "*.jinja", "*.txt", "*.model", "*/config.json")
"""Files beside the weights that determine answers or vectors."""

NESTED = ("*/**/*.safetensors", "*/**/*.bin", "*/**/config.json")
"""Weights of an embedder's further modules, in folders of their own, and their settings."""

PLAIN_TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}Answer: {{ m['content'] }}\n\n"
    "{% else %}{{ m['content'] }}\n\n{% endif %}{% endfor %}{% if add_generation_prompt %}Answer:{% endif %}"
)
"""For models that were never taught a chat format."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A causal language model in memory with its tokenizer.

    `network` and `tokenizer` are transformers objects (the library ships no usable types).
    """

    network: Any
    tokenizer: Any
    machine: Machine
    description: ModelDescription
    stop_ids: frozenset[int]
    folder: Path | None = None
    """Where its files lie."""

    def render(self, messages: Sequence[Message]) -> str:
        """The exact prompt text for a conversation that awaits its answer."""
        turns = [{"role": m.role, "content": m.content} for m in messages]
        template = None if self.tokenizer.chat_template else PLAIN_TEMPLATE
        try:
            return self._templated(turns, template)
        except TemplateError:  # some templates know no system message: it then opens the first user turn
            return self._templated(_without_system(turns), template)

    def _templated(self, turns: list[dict[str, str]], template: str | None) -> str:
        text: str = self.tokenizer.apply_chat_template(
            turns, chat_template=template, add_generation_prompt=True, tokenize=False, enable_thinking=False
        )
        return text

    def encode(self, text: str) -> list[int]:
        """Token ids of a rendered prompt (its special tokens are in the text already)."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def count_tokens(self, text: str) -> int:
        """Tokens of a text."""
        return len(self.encode(text))


def _without_system(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    if len(turns) < 2 or turns[0]["role"] != "system":
        return turns
    first = {"role": "user", "content": f"{turns[0]['content']}\n\n{turns[1]['content']}"}
    return [first, *turns[2:]]


def load_model(name: str | None = None, *, bits: int | None = None) -> LoadedModel:
    """Load a model by local folder, GGUF file, Hugging Face id, or the bundled default (None).

    Args:
        bits: 4: the linear layers' weights are held in four bits (NF4, Dettmers et al. 2023, arXiv 2305.14314), and
            are multiplied in the device's usual precision; None: in that precision throughout.

    Raises:
        MissingModel: it is not here and cannot be fetched, or cannot be held in four bits here.
    """
    keep_quiet()
    here = machine()
    folder, label, digest = _resolve(name)
    return _load_folder(folder, label=label, digest=digest, here=here, bits=bits)


def identify(name: str | None = None) -> ModelIdentity:
    """Which weights a name stands for, without loading them.

    Raises:
        MissingModel: it is not here and cannot be fetched.
    """
    if name is None:
        gguf = bundled.require(bundled.LANGUAGE_MODEL)
        return ModelIdentity(
            bundled.LANGUAGE_MODEL.name, bundled.LANGUAGE_MODEL.sha256, gguf.stat().st_size / 2**20 * 3
        )
    folder, label, digest = _resolve(name)
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return ModelIdentity(label, digest, size / 2**20)


def weights_files(name: str | None = None) -> Path:
    """Where the weights lie whose size is to be looked up: a folder, or a GGUF file that was not unpacked yet.

    Raises:
        MissingModel: the model is not here and cannot be fetched.
    """
    if name is None or Path(name).suffix == ".gguf":
        gguf = bundled.require(bundled.LANGUAGE_MODEL) if name is None else Path(name).expanduser()
        digest = bundled.LANGUAGE_MODEL.sha256 if name is None else bundled.file_digest(gguf)
        folder = bundled.cache_folder() / "models" / digest[:16]
        return folder if folder.is_dir() else gguf
    return _resolve(name)[0]


def window_and_counter(name: str | None = None) -> tuple[int, Callable[[str], int]]:
    """The context window in tokens and a token counter, without loading the weights.

    Raises:
        MissingModel: the model is not here and cannot be fetched.
    """
    keep_quiet()
    from transformers import AutoConfig, AutoTokenizer

    folder, label, _ = _resolve(name)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        window = int(config.max_position_embeddings)
    except (ValueError, OSError, KeyError, AttributeError, ImportError) as error:
        raise MissingModel(f"The model {label!r} could not be read: {_first_line(error)}") from error
    return window, lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


def keep_quiet() -> None:
    """No telemetry, no progress bars, no advice from the model libraries; must run before they are imported."""
    for key, value in {
        # Threads wait awake for some microseconds: waking one costs more than a small product, spinning on and on
        # starves a shared machine.
        "GOMP_SPINCOUNT": "10000",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    }.items():
        os.environ.setdefault(key, value)
    import transformers

    # They speak to the libraries' own developers.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers|peft|torch|huggingface_hub")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def _resolve(name: str | None) -> tuple[Path, str, str]:
    """(folder with safetensors, name to show, digest of the weights)."""
    if name is None:
        gguf = bundled.require(bundled.LANGUAGE_MODEL)
        return (
            unpacked_gguf(gguf, digest=bundled.LANGUAGE_MODEL.sha256),
            bundled.LANGUAGE_MODEL.name,
            bundled.LANGUAGE_MODEL.sha256,
        )
    path = Path(name).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        digest = bundled.file_digest(path)
        return unpacked_gguf(path, digest=digest), path.stem, digest
    folder = path if path.is_dir() else fetch(name)
    return folder, name, weights_digest(folder)


def fetch(name: str) -> Path:
    """The local copy of a Hugging Face id: from its cache, else downloaded (safetensors, tokenizer and config only).

    Raises:
        MissingModel: neither can be had.
    """
    if name.startswith(("/", ".", "~")) or name.count("/") > 1 or "\\" in name:
        raise MissingModel(
            f"There is no folder {name!r}. Name a folder with config.json, tokenizer.json and *.safetensors, a GGUF "
            "file, or a Hugging Face id such as owner/name."
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "1_Pooling/*"]
    try:
        with contextlib.suppress(LocalEntryNotFoundError):
            here = Path(snapshot_download(name, allow_patterns=wanted, local_files_only=True))
            if any(here.glob("*.safetensors")):
                return here
        return Path(snapshot_download(name, allow_patterns=wanted))
    except (HfHubHTTPError, LocalEntryNotFoundError, HFValidationError, OSError) as error:
        raise MissingModel(
            f"The model {name!r} is neither a folder on this machine nor in the Hugging Face cache, and it could not "
            f"be downloaded ({type(error).__name__}). Bring its folder (config.json, tokenizer.json, *.safetensors) "
            "and name that instead."
        ) from error


def weights_digest(folder: Path, *, nested: bool = False) -> str:
    """SHA-256 over everything that determines the answers: weights, configuration, tokenizer, chat template.

    `nested`: also over the weights in folders below, where an embedder keeps those of its further modules.

    Raises:
        MissingModel: the folder holds none.
    """
    weights = list(folder.glob("*.safetensors"))
    if not weights:
        found = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or "nothing"
        raise MissingModel(
            f"{folder} holds no *.safetensors file (found: {found}). Only safetensors and GGUF are read, because "
            "pickled weights can run code; save the model with safe_serialization=True."
        )
    others = [path for pattern in SETTINGS for path in folder.glob(pattern)]
    if nested:
        others += [path for pattern in NESTED for path in folder.glob(pattern) if not _is_hidden(path, folder)]
    total = hashlib.sha256()
    for file in sorted({*weights, *others}):
        total.update(f"{file.relative_to(folder).as_posix()}:{bundled.file_digest(file)}\n".encode())
    return total.hexdigest()


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def unpacked_gguf(gguf: Path, *, digest: str) -> Path:
    """A plain safetensors folder with the GGUF's weights, made once and kept in the cache.

    The folder is built beside its final place and renamed last, so its existence means that it is whole.
    """
    target = bundled.cache_folder() / "models" / digest[:16]
    if _hold(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".unpack-", dir=target.parent))
    try:
        _unpack(gguf, into=work)
        with contextlib.suppress(OSError):  # another process was faster: its folder is as good
            work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    _hold(target)
    return target


def _hold(folder: Path) -> bool:
    """Whether an unpacked model is there; it then stays there until this process ends."""
    try:
        hold_always(folder / "config.json")
    except OSError:
        return False
    return True


def _unpack(gguf: Path, *, into: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    try:
        with _stderr_to_null():
            model = AutoModelForCausalLM.from_pretrained(
                gguf.parent,
                gguf_file=gguf.name,
                quantization_config=GgufConfig(dequantize=True),
                dtype=torch.float32,
            )
            tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    except (ValueError, KeyError, OSError) as error:
        raise MissingModel(
            f"{gguf.name} could not be read as a GGUF model ({error}). Name a safetensors folder."
        ) from error
    model.save_pretrained(into)
    tokenizer.save_pretrained(into)


@contextlib.contextmanager
def _stderr_to_null() -> Iterator[None]:
    """The GGUF reader draws its own progress bar and has no switch for it."""
    with Path(os.devnull).open("w") as null, contextlib.redirect_stderr(null):
        yield


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _load_folder(folder: Path, *, label: str, digest: str, here: Machine, bits: int | None = None) -> LoadedModel:
    import torch
    import transformers
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(here.threads)
    try:
        placed = _placed(folder, here, bits)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        network = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, here.dtype),
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
            **placed,
        )
    except (ValueError, OSError, KeyError, ImportError, SafetensorError) as error:
        raise MissingModel(f"The model {label!r} could not be loaded: {_first_line(error)}") from error
    if not placed:
        network.to(here.device)
    network.eval().requires_grad_(False)
    for module in network.modules():
        # Else bitsandbytes lays weights out anew in the first pass without gradients, and tuning reads another layout.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    contiguous_for_head(network)
    description = ModelDescription(
        name=label,
        digest=digest,
        dtype=f"nf4 in {here.dtype}" if bits else here.dtype,
        device=here.device,
        window=_window(network),
        parameters=network.num_parameters(),
        runtime=f"torch {torch.__version__}, transformers {transformers.__version__}",
    )
    return LoadedModel(network, tokenizer, here, description, _stop_ids(network, tokenizer), folder)


def contiguous_for_head(network: Any) -> None:
    """A slice of the hidden states is not contiguous, and the head then takes a product ten times slower on CPU."""
    network.get_output_embeddings().register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(),))


def _placed(folder: Path, here: Machine, bits: int | None) -> dict[str, Any]:
    """How transformers is to hold and place the weights; nothing: in one precision, moved to the device as a whole.

    A model that is larger than one GPU is spread over all of them, and what is left over over the processor's memory.

    Raises:
        MissingModel: the package for four bits is not installed.
    """
    import torch

    if bits is None:
        size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        return {"device_map": "auto"} if here.device == "cuda" and size > 0.9 * device_memory(here.device) else {}
    try:
        from transformers import BitsAndBytesConfig

        quantised = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, here.dtype),
        )
    except ImportError as error:
        raise MissingModel(
            "bits = 4 needs the package bitsandbytes, and it is not installed: `pip install bitsandbytes`, or take "
            "the line bits = 4 out of [tuning]."
        ) from error
    where = "auto" if here.device == "cuda" else {"": here.device}
    return {"quantization_config": quantised, "device_map": where}


def in_four_bits(network: Any) -> bool:
    """Whether a network's linear layers hold their weights in four bits."""
    return bool(getattr(network, "is_loaded_in_4bit", False))


def _window(network: Any) -> int:
    found = getattr(network.config, "max_position_embeddings", None)
    if not found:
        raise UserError("The model's config.json names no max_position_embeddings, so its context window is unknown.")
    return int(found)


def _stop_ids(network: Any, tokenizer: Any) -> frozenset[int]:
    named = network.generation_config.eos_token_id
    ids = {named} if isinstance(named, int) else set(named or ())
    if tokenizer.eos_token_id is not None:
        ids.add(tokenizer.eos_token_id)
    return frozenset(ids)
