"""The `[endpoint]` table: a server that answers in the place of weights on this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from harness.scenario import EndpointWish, FineTuningWish, Problem
from harness.scenario_file.advice import shown
from harness.scenario_file.fine_tuning import fine_tuning_fault, fine_tuning_problems, is_amount

LENGTH_FIELDS = ("max_tokens", "max_completion_tokens")
MAY_BE_LEFT_OUT = ("temperature", "seed")
OURS = ("model", "messages", "stream", "stream_options", "response_format", "n", *LENGTH_FIELDS, *MAY_BE_LEFT_OUT)
"""Fields of a request that a run sets itself."""


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """What the table says; None where it says nothing."""

    url: str | None = None
    model: str | None = None
    key_variable: str | None = None
    concurrency: int | None = None
    timeout: float | None = None
    retries: int | None = None
    window: int | None = None
    length_field: str | None = None
    price_in: float | None = None
    price_out: float | None = None
    currency: str | None = None
    max_cost: float | None = None
    batch: bool | None = None
    batch_discount: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    leave_out: tuple[str, ...] = ()
    adapters: dict[str, str] = field(default_factory=dict)
    fine_tuning: FineTuningWish | None = None


NO_ENDPOINT = EndpointSettings()


def laid_over(said: EndpointSettings | None, more: EndpointSettings, *, model: str | None) -> EndpointSettings | None:
    """What the file says under what the command line says; `--model` names the model there. None: no endpoint."""
    if said is None and more == NO_ENDPOINT:
        return None
    below = said or NO_ENDPOINT
    merged = {one.name: _first(getattr(more, one.name), getattr(below, one.name)) for one in fields(EndpointSettings)}
    return EndpointSettings(**{**merged, "model": model or merged["model"]})


def _first(above: Any, below: Any) -> Any:
    return below if above is None or above in ({}, ()) else above


def endpoint_wish(said: EndpointSettings | None, *, model: str | None) -> EndpointWish | None:
    """The settled endpoint; None where there is none, or it is not whole (`endpoint_problems` says why)."""
    if said is None or not said.url or not (said.model or model):
        return None
    given = {one.name: getattr(said, one.name) for one in fields(said) if getattr(said, one.name) is not None}
    return EndpointWish(**{**given, "model": said.model or model})


def endpoint_problems(said: EndpointSettings | None, *, model: str | None) -> Iterator[Problem]:
    """What is missing, and what does not go together."""
    if said is None:
        return
    if not said.url:
        yield _problem('settings of an endpoint and no address: give --endpoint URL, or url = "https://host/v1"')
    elif fault := address_fault(said.url):
        yield _problem(f"the endpoint's address {fault}")
    if not (said.model or model):
        yield _problem("which model shall answer there? Give --model NAME, the name that the server knows it by")
    if said.key_variable is not None and (fault := _variable(said.key_variable)):
        yield _problem(f"the key's variable {fault}")
    if said.max_cost is not None and (said.price_in is None or said.price_out is None):
        yield _problem(
            "a budget needs prices: give --price IN/OUT (money for a million tokens), or price_in and price_out"
        )
    if (said.price_in is None) != (said.price_out is None):
        yield _problem("price_in and price_out belong together: money for a million tokens read, and written")
    if said.fine_tuning is not None:
        yield from fine_tuning_problems(said.fine_tuning, answers_priced=said.price_in is not None)


def _problem(text: str) -> Problem:
    return Problem("error", text, "[endpoint]")


def address_fault(url: str) -> str | None:
    """What is wrong with an address, without repeating it; it is written down, so it must carry no secret."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # a bracket that is not closed, a port that is no number
        return "is none: a bracket or the port is wrong"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "must start with http:// or https:// and name a host"
    if parts.username or parts.password or parts.query or parts.fragment:
        return "must hold no user, password or query; put the key into an environment variable"
    return None


# What each setting may be


def _text(value: object, *, may_be_empty: bool = False) -> str | None:
    if not isinstance(value, str) or not (value.strip() or may_be_empty):
        return f"must be a text in double quotes; got {shown(value)}"
    return None


def _address(value: object) -> str | None:
    return _text(value) or address_fault(str(value))


def _variable(value: object) -> str | None:
    fault = _text(value, may_be_empty=True)
    if fault or value == "" or re.fullmatch(r"[A-Z_][A-Z0-9_]{0,80}", str(value)):
        return fault
    return (
        "must be the name of an environment variable in capitals, never the key itself"  # not repeated: it may be one
    )


def _whole(value: object, *, low: int) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and low <= value < 2**31:
        return None
    return f"must be a whole number, {low} or more; got {shown(value)}"


def _number(value: object, *, above: bool = False) -> str | None:
    if is_amount(value) and (value != 0 or not above):
        return None
    return f"must be a number {'above 0' if above else '0 or more'}; got {shown(value)}"


def _share(value: object) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return None
    return f"must be a share from 0 to 1 that batches are cheaper by, such as 0.5; got {shown(value)}"


def _yes_or_no(value: object) -> str | None:
    return None if isinstance(value, bool) else f"must be true or false; got {shown(value)}"


def _choice(value: object) -> str | None:
    return None if value in LENGTH_FIELDS else f"must be one of {', '.join(LENGTH_FIELDS)}; got {shown(value)}"


def _fields(value: object) -> str | None:
    if not isinstance(value, dict):
        return f"must be a table of fields, such as {{top_p = 1}}; got {shown(value)}"
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return "holds what JSON does not know, such as a date or nan; write it as a text"
    ours = [name for name in value if name in OURS]
    return f"names {', '.join(ours)}, which a run sets itself" if ours else None


def _left_out(value: object) -> str | None:
    if isinstance(value, list) and all(name in MAY_BE_LEFT_OUT for name in value):
        return None
    return f"may name {', '.join(MAY_BE_LEFT_OUT)}; got {shown(value)}"


def _adapters(value: object) -> str | None:
    if isinstance(value, dict) and all(isinstance(name, str) and name.strip() for name in value.values()):
        unknown = [arm for arm in value if arm not in ("lora", "rag_lora")]
        return f"names {', '.join(map(shown, unknown))}; tuned arms are lora and rag_lora" if unknown else None
    return f'must be a table such as {{lora = "name-on-server"}}; got {shown(value)}'


CHECKS: Mapping[str, Callable[[object], str | None]] = {
    "url": _address,
    "model": _text,
    "key_variable": _variable,
    "concurrency": partial(_whole, low=1),
    "timeout": partial(_number, above=True),
    "retries": partial(_whole, low=0),
    "window": partial(_whole, low=16),
    "length_field": _choice,
    "price_in": _number,
    "price_out": _number,
    "currency": _text,
    "max_cost": partial(_number, above=True),
    "batch": _yes_or_no,
    "batch_discount": _share,
    "extra": _fields,
    "leave_out": _left_out,
    "adapters": _adapters,
    "fine_tuning": fine_tuning_fault,
}
"""Setting -> what is wrong with a value, or None."""
