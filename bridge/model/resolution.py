"""What a DNS name stands for, as the bridge resolved it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resolution:
    """What one name stands for now: `addresses`, in order and canonical; every one that was answered, and has not been missing for long.

    `answered` is False as long as no server ever gave an answer: nothing is known of the name then, which is another thing than a name
    without addresses. `dropped` are answered addresses that do not count, each with the reason; `cut` says that there were more than are
    taken. `problem` says why the last questions failed ("" when they did not): what was answered before stays meanwhile.
    """

    name: str
    addresses: tuple[str, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()
    answered: bool = True
    cut: bool = False
    problem: str = ""

    @property
    def means(self) -> tuple[str, ...] | None:
        """The addresses that it stands for; None where nothing is known."""
        return self.addresses if self.answered else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What whoever wrote the name is to be told, each in words that stay the same as long as it lasts."""
        found = [f"{self.name}: the answer {address} is left out: {why}" for address, why in self.dropped]
        if self.cut:
            found.append(f"{self.name}: more addresses are answered than a name may have; only some of them count")
        if self.problem:
            stays = "the last answer stays" if self.answered else "nothing is known of it yet"
            found.append(f"{self.name} cannot be resolved, {stays}: {self.problem}")
        return tuple(found)
