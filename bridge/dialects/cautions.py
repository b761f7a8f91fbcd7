"""What is legal in a rule and yet seldom meant: told as warnings, never refused."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from bridge.model.addresses import ALL
from bridge.model.policy import Action, ExternalService, Ref, Rule, SourceKind
from bridge.model.reasons import Reason
from bridge.policy.validity import resting

_NEGATIVE = (Action.DENY, Action.REJECT)


def cautions(rule: Rule, services: Mapping[Ref, ExternalService], now: datetime) -> tuple[tuple[str, str], ...]:
    """Field and warning, one pair for each thing worth a second look. `services` are those known; a missing one is not judged here."""
    return (*_about_source(rule), *_about_destinations(rule, services), *_about_time(rule, now))


def _about_time(rule: Rule, now: datetime) -> Iterator[tuple[str, str]]:
    rest = resting(rule.validity, now)
    if rest is not None and rest.reason is Reason.EXPIRED:
        yield "spec.notAfter", f"the rule is over: {rest.message}"


def _about_source(rule: Rule) -> Iterator[tuple[str, str]]:
    source = rule.source
    anywhere = not source.namespaces.requirements and not source.service_accounts
    if source.kind is SourceKind.CLUSTER and source.pods.requirements and anywhere:
        yield (
            "spec.from.podSelector",
            "selects pods by label in every namespace: whoever may label a pod anywhere joins; add a namespaceSelector",
        )


def _about_destinations(rule: Rule, services: Mapping[Ref, ExternalService]) -> Iterator[tuple[str, str]]:
    for ref in rule.destinations:
        service = services.get(ref)
        if service is None:
            continue
        if rule.action in _NEGATIVE and service.fqdns:
            yield "spec.to", f"{rule.action} by name fails open: what {ref} resolves to is never known in full"
        if rule.action is Action.ALLOW and any(address in ALL for address in service.addresses):
            yield "spec.to", f"Allow to {ref} is to everything outside the cluster"
