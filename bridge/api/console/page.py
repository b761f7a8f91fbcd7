"""A page: a template, the values that it shows, and what every page has around it."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from bridge import __version__
from bridge.api import forms
from bridge.api.access import Person, Role
from bridge.api.authentication.sessions import shown
from bridge.report.words import span

STATIC = Path(__file__).parent / "static"


class NavigationEntry:
    """One entry of the navigation: where it leads, what it is called, and which paths `beside` belong to it too."""

    def __init__(self, path: str, name: str, *beside: str) -> None:
        self.path = path
        self.name = name
        self._paths = (path, *beside)

    def current(self, path: str) -> bool:
        """Whether a page of that path belongs to it."""
        return any(path == one or (one != "/" and path.startswith(f"{one}/")) for one in self._paths)


NAVIGATION = (
    NavigationEntry("/", "Overview", "/devices"),
    NavigationEntry("/groups", "Groups"),
    NavigationEntry("/rules", "Rules", "/remarks"),
    NavigationEntry("/trace", "Trace"),
    NavigationEntry("/who", "Who & history", "/history"),
    NavigationEntry("/held", "Held", "/stops"),
    NavigationEntry("/reports", "Reports", "/audit"),
)


def page(
    request: Request,
    template: str,
    values: Mapping[str, Any] | None = None,
    *,
    title: str,
    status: int = 200,
    still: bool = False,
) -> HTMLResponse:
    """The page as HTML. Whatever is put into it is text: the templates' environment escapes everything.

    A `still` page stays as it is when something changes: a form that somebody fills in, or what costs much to make.
    """
    known: Person | None = getattr(request.state, "person", None)  # nobody was asked who he is where there is no page
    person = known or Person("", Role.VIEWER)
    around = {
        "title": title,
        "person": person,
        "role": known.role.name.lower() if known else "",
        "may_operate": person.role >= Role.OPERATOR,
        "may_decide": person.role >= Role.SECURITY,
        "form_token": forms.token(request),
        "session": bool(person.name and shown(request)),
        "navigation": NAVIGATION,
        "path": request.url.path,
        "still": still,
        "version": __version__,
    }
    text = _environment().get_template(template).render({**(values or {}), **around})
    return HTMLResponse(text, status)


@cache
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("bridge.api.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["clock"], found.filters["span"] = clock, span
    return found


def clock(at: datetime | None) -> str:
    """A time as people read it, in UTC; "never" for none."""
    return at.strftime("%Y-%m-%d %H:%M:%S UTC") if at else "never"
