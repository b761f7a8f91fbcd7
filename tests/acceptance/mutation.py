"""JSON and bytes that are nearly right: what a broken peer, a proxy in between or a newer version would send."""

import json
from random import Random
from typing import Any

_ODD: tuple[Any, ...] = (
    None, True, 0, -1, 2**70, 1.5, "", " ", "\u0000", "300.1.2.3", "10.0.0.0/8", "0.0.0.0/0", "any", "<script>", "x" * 5000, [], {},
    [None], [[]], {"": None}, {"name": 3}, "/Common/other", "accept", "10.0.0.1-",
)  # fmt: skip


def mutated(random: Random, body: bytes) -> bytes:
    """The body with one to three things wrong with it."""
    try:
        value = json.loads(body)
    except ValueError:
        return torn(random, body)
    if random.random() < 0.2:
        return torn(random, body)
    for _ in range(random.randint(1, 3)):
        value = _changed(random, value)
    return json.dumps(value).encode()


def torn(random: Random, body: bytes) -> bytes:
    """Cut, doubled, or with bytes of another kind in it."""
    place = random.randrange(len(body) + 1)
    choices = (
        body[:place],
        body[place:],
        body + body,
        body[:place] + b"\xff\x00{" + body[place:],
        b"<html>no</html>",
        b"",
    )
    return random.choice(choices)


def _changed(random: Random, value: Any) -> Any:  # noqa: ANN401 (any JSON; a case each)
    """The value with something in it replaced, left out or doubled."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(sorted(value))
        rest = {name: one for name, one in value.items() if name != key}
        if random.random() < 0.15:
            return rest
        if random.random() < 0.1:
            return rest | {f"{key}x": value[key]}
        return rest | {key: _changed(random, value[key])}
    if isinstance(value, list) and value and random.random() < 0.9:
        place = random.randrange(len(value))
        if random.random() < 0.2:
            return value[:place] + value[place + 1 :]
        if random.random() < 0.2:
            return [*value, value[place]]
        return [*value[:place], _changed(random, value[place]), *value[place + 1 :]]
    return random.choice(_ODD)
