"""Manifests as text: what Kubernetes would read, with lines, and nothing that a file can hold breaks the reader."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.dialects.documents import Document, Unreadable, documents


def value(text: str) -> Any:  # noqa: ANN401
    """The one value of a text."""
    (document,) = documents(text)
    assert isinstance(document, Document), document
    return document.value


def trouble(text: str) -> Unreadable:
    """The one thing that is wrong with a text."""
    found = [item for item in documents(text) if isinstance(item, Unreadable)]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("22:22", "22:22"),
        ("2026-01-31", "2026-01-31"),
        ("=", "="),
        ("1_000", "1_000"),
        ("443", 443),
        ("1.5", 1.5),
        ("1e3", 1000.0),
    ],
)
def test_scalars_are_read_as_kubernetes_reads_them(text: str, expected: object) -> None:
    assert value(f"a: {text}") == {"a": expected}


def test_several_documents_and_their_lines() -> None:
    first, second = documents("# a comment\na: 1\n---\n---\nb:\n  - c: 2\n  - c: 3\n")
    assert isinstance(first, Document)
    assert isinstance(second, Document)
    assert (first.line(), second.line()) == (2, 5)
    assert second.line("b[1].c") == 7
    assert second.line("b[1].nothing.here") == 7
    assert second.at("b[0]").value == {"c": 2}
    assert second.at("b[0]").line() == 6


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: 1\nb: c: d\n", 2, "mapping values are not allowed"),
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' stands here twice"),
        ("a: 1\nb: &x [*x]\n", 1, "refers to itself"),
        ("a: !!python/object:os.system x\n", 1, "could not determine a constructor"),
        ("[" * 100_000, 1, "nested too deeply"),
        ("- " * 1000 + "a", 1, "nested too deeply"),
        ("? [a]\n: b\n", 1, "unhashable key"),
        ('{"a": 1,}{', 1, ""),
    ],
)
def test_what_cannot_be_read_says_where(text: str, line: int, reason: str) -> None:
    found = trouble(text)
    assert found.line == line
    assert reason in found.reason


def test_what_stands_before_an_error_is_read() -> None:
    first, second = documents("a: 1\n---\nb: c: d\n---\ne: 1\n")
    assert isinstance(first, Document)
    assert isinstance(second, Unreadable)
    assert second.line == 3


def test_json_with_tabs_is_read_too() -> None:
    assert value('{\n\t"a":\t[1, "x"]\n}') == {"a": [1, "x"]}


@given(st.text(max_size=60) | st.text("ab:-&*![]{}'\"\n \t|>?%#,0", max_size=60))
def test_any_text_gives_documents_or_says_why_not(text: str) -> None:
    for document in documents(text):
        if isinstance(document, Document):
            assert document.line("a.b[0]") is not None
        else:
            assert document.reason


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(min_codepoint=32, max_codepoint=126))
)


@given(st.dictionaries(st.text("abc", min_size=1), st.recursive(LEAVES, st.lists, max_leaves=6), min_size=1))
def test_json_reads_as_json(data: dict[str, Any]) -> None:
    assert value(json.dumps(data, indent=2)) == data
