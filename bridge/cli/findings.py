"""What `validate` found, in the forms that pipelines read: JSON, JUnit XML and SARIF 2.1.0."""

import re
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree as Xml

from bridge.dialects.manifests import Finding, Severity

_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
_UNWRITABLE = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning"}


def document(findings: Sequence[Finding]) -> dict[str, Any]:
    """As plain values; `ok` is False when anything would be refused."""
    rows = [
        {
            "path": one.path,
            "line": one.line,
            "object": one.object,
            "field": one.field,
            "severity": one.severity.value,
            "message": one.message,
        }
        for one in findings
    ]
    return {"ok": not any(one.severity is Severity.ERROR for one in findings), "findings": rows}


def junit(findings: Sequence[Finding]) -> str:
    """A test case for each finding, failed when it is an error; a warning is told in its output. One that passed when there is none."""
    errors = sum(one.severity is Severity.ERROR for one in findings)
    counts = {"tests": str(max(1, len(findings))), "failures": str(errors)}
    suite = Xml.Element("testsuite", {"name": "fusion-bridge validate", **counts})
    for one in findings:
        name = " ".join(part for part in (one.object, one.field) if part) or "manifest"
        case = Xml.SubElement(suite, "testcase", {"classname": _plain(one.path), "name": _plain(name)})
        if one.severity is Severity.ERROR:
            Xml.SubElement(case, "failure", {"message": _plain(one.message)}).text = _plain(str(one))
        else:
            Xml.SubElement(case, "system-out").text = _plain(str(one))
    if not findings:
        Xml.SubElement(suite, "testcase", {"classname": "manifests", "name": "all"})
    root = Xml.Element("testsuites", counts)
    root.append(suite)
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode", xml_declaration=True)


def sarif(findings: Sequence[Finding], version: str) -> dict[str, Any]:
    """One run with one result for each finding, at its file and line."""
    driver = {
        "name": "fusion-bridge",
        "version": version,
        "rules": [{"id": severity.value, "shortDescription": {"text": text}} for severity, text in _RULES.items()],
    }
    return {
        "$schema": _SARIF,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": _results(findings)}],
    }


_RULES = {
    Severity.ERROR: "Refused by the bridge or by the API server.",
    Severity.WARNING: "Taken as it is, and seldom meant.",
}


def _results(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    results = []
    for one in findings:
        place: dict[str, Any] = {"artifactLocation": {"uri": one.path}}
        if one.line is not None:
            place["region"] = {"startLine": one.line}
        text = ": ".join(part for part in (one.object, one.field, one.message) if part)
        results.append(
            {
                "ruleId": one.severity.value,
                "level": _LEVELS[one.severity],
                "message": {"text": text},
                "locations": [{"physicalLocation": place}],
            }
        )
    return results


def _plain(text: str) -> str:
    """Without the characters that XML cannot hold at all."""
    return _UNWRITABLE.sub("?", text)
