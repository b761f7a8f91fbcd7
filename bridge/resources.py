"""Where the files that ship with the package are: one answer for a checkout and for an installed wheel."""

from pathlib import Path


def shipped(name: str) -> Path:
    """The folder or file `name` ("migrations", "config/crd", …) in the installed package, else in the checkout.

    Raises FileNotFoundError naming both places when neither holds it.
    """
    package = Path(__file__).resolve().parent
    places = (package / "_shipped" / name, package.parent / name)
    for place in places:
        if place.exists():
            return place
    raise FileNotFoundError(f"{name} is in neither {places[0]} nor {places[1]}: the installation is incomplete")
