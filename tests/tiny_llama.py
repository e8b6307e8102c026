"""A tiny random Llama with a byte tokenizer, saved as a user's folder would be: real libraries, no weights to bring."""

from dataclasses import replace

END = "<|end|>"
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
STOPS = tuple(range(33, 43))
"""Bytes at which it stops too: a random network would hardly ever choose the one stop token."""


def save_tiny_llama(folder, *, seed=0):
    """Write config, weights and tokenizer; the same bytes for the same seed."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = byte_tokenizer()
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        initializer_range=0.3,
        eos_token_id=[tokenizer.eos_token_id, *STOPS],
        bos_token_id=None,
        pad_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def byte_tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytes_only = Tokenizer(models.BPE(vocab={char: n for n, char in enumerate(alphabet)}, merges=[]))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=bytes_only, eos_token=END)
    made.add_special_tokens({"additional_special_tokens": ["<|system|>", "<|user|>", "<|assistant|>"]})
    made.chat_template = TEMPLATE
    return made


def load_tiny_llama(folder):
    """Loaded as any model is, then computed in float32, whatever the processor prefers."""
    from harness.models.local import load_model

    loaded = load_model(str(folder))
    loaded.network.float()
    return replace(
        loaded,
        machine=replace(loaded.machine, dtype="float32"),
        description=replace(loaded.description, dtype="float32"),
    )
