"""The e-mail templates that ship with Tierflow, and how they are filled.

A template NAME is `templates/NAME.txt.j2`, whose first line is `Subject: ...`, and, where there is one,
`templates/NAME.html.j2`. Values go into HTML escaped; a value that a template needs and does not get is an
error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import FunctionLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from schemas.errors import PermanentError

_SUBJECT, _TEXT, _HTML = ".subject", ".txt.j2", ".html.j2"
MAX_BODY_CHARS = 500_000


@dataclass(frozen=True, slots=True)
class Filled:
    """A template with its values in it."""

    subject: str
    text: str
    html: str | None


def known() -> list[str]:
    """The names of the templates."""
    folder = files("connectors") / "templates"
    return sorted(file.name.removesuffix(_TEXT) for file in folder.iterdir() if file.name.endswith(_TEXT))


def fill(name: str, values: Mapping[str, Any]) -> Filled:
    """The mail that the template gives; PermanentError when there is none or a value is missing."""
    if name not in known():
        text = f"unknown e-mail template {name!r}; known: {', '.join(known())}"
        raise PermanentError(text, code="unknown_template")
    try:
        # The subject apart, so that a line break in a value cannot end it.
        subject = _environment().get_template(name + _SUBJECT).render(values)
        text = _environment().get_template(name + _TEXT).render(values)
        html = _environment().get_template(name + _HTML).render(values) if _source(name + _HTML) else None
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise PermanentError(f"e-mail template {name!r}: {error}", code="template") from error
    if max(len(text), len(html or "")) > MAX_BODY_CHARS:
        raise PermanentError(f"e-mail template {name!r}: the text is too long", code="template")
    return Filled(" ".join(subject.split()), text, html)


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=FunctionLoader(_source),
        autoescape=lambda name: name is not None and name.endswith(_HTML),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )


def _source(name: str) -> str | None:
    """A template's text: the first line of a text file is the subject's, an empty line follows it."""
    base = name.removesuffix(_SUBJECT)
    file = files("connectors") / "templates" / (base + _TEXT if name.endswith(_SUBJECT) else name)
    if not file.is_file():
        return None
    whole = file.read_text(encoding="utf-8")
    if name.endswith(_HTML):
        return whole
    head, _, rest = whole.partition("\n")
    return head.removeprefix("Subject: ") if name.endswith(_SUBJECT) else rest.removeprefix("\n")
