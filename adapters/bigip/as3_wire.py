"""What AS3 answers, as far as we look at it."""

from typing import Any

import msgspec


class Info(msgspec.Struct):
    """`info`."""

    version: str = ""


class Result(msgspec.Struct, rename="camel"):
    """What became of one tenant, or of the whole where `tenant` is empty."""

    code: int = 0
    message: str = ""
    tenant: str = ""
    response: Any = ""
    errors: Any = None
    declaration_id: str = ""

    @property
    def declaration(self) -> str:
        """The id of the declaration; empty where the version does not tell it."""
        return self.declaration_id

    @property
    def runs(self) -> bool:
        """Whether it is not over."""
        return self.message == "in progress"

    @property
    def fine(self) -> bool:
        """Whether the tenant is as declared."""
        return self.message.startswith(("success", "no change")) and self.code in (0, 200)

    @property
    def text(self) -> str:
        """All that it says."""
        listed = self.errors if isinstance(self.errors, list) else []
        parts = (self.message, self.response, *listed)
        return "; ".join(str(part) for part in parts if part)


class Response(msgspec.Struct):
    """The answer to a declaration, and of one task; errors of the request have no results."""

    id: str = ""
    code: int = 0
    message: str = ""
    errors: Any = None
    results: list[Result] = []

    @property
    def own(self) -> Result:
        """What it says of itself."""
        return Result(self.code, self.message, errors=self.errors)


class Tasks(msgspec.Struct):
    """`task`."""

    items: list[Response] = []


class Virtual(msgspec.Struct, rename="camel"):
    """ltm/virtual: where it takes traffic, and what it enforces."""

    full_path: str = ""
    destination: str = ""
    fw_enforced_policy: str = ""
