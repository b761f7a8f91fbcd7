"""`fusion-bridge config`: the settings themselves."""

from typing import TYPE_CHECKING

import typer

from bridge.cli.invocation import Invocation, invocation
from bridge.cli.rights import rights
from bridge.errors import SettingsError

if TYPE_CHECKING:
    from bridge.settings import Settings

app = typer.Typer(help="Check the settings; print their schema or roles.", no_args_is_help=True)
app.command(short_help="Print the roles that the bridge needs in a cluster.")(rights)


@app.command(short_help="Report every problem of the settings at once.")
def check(context: typer.Context) -> None:
    """Read the settings and report every problem at once; nothing is contacted or changed."""
    asked = invocation(context)
    try:
        settings = asked.settings
        _check_dialects(settings, str(asked.file or "the environment"))
    except SettingsError as error:
        if asked.output.json:
            asked.output.document({"ok": False, "source": error.source, "problems": error.problems, "warnings": {}})
        raise
    found = _warnings(settings)
    if asked.output.json:
        asked.output.document({"ok": True, "source": str(asked.file or ""), "problems": {}, "warnings": found})
        return
    for path, words in found.items():
        asked.output.line(f"warning: {path}: {words}")
    asked.output.line(_summary(asked, settings))


@app.command()
def schema() -> None:
    """Print the JSON schema of the settings file."""
    from bridge.cli.output import Output
    from bridge.settings import schema

    Output().document(schema())


def _check_dialects(settings: "Settings", source: str) -> None:
    """Raise SettingsError for every dialect that a cluster names and nobody brings."""
    from bridge.dialects.dialect import installed

    there = installed()
    unknown = {
        f"clusters[{index}].dialects[{place}]": f"there is no dialect {name}; there are {', '.join(there)}"
        for index, cluster in enumerate(settings.clusters)
        for place, name in enumerate(cluster.dialects)
        if name not in there
    }
    if unknown:
        raise SettingsError(unknown, source)


def _summary(asked: Invocation, settings: "Settings") -> str:
    clusters = ", ".join(cluster.name for cluster in settings.clusters)
    devices = ", ".join(f"{device.name} ({device.kind}, {device.mode})" for device in settings.devices) or "none"
    source = asked.file or "the environment"
    return f"ok: {source}: owner {settings.owner}; clusters: {clusters}; devices: {devices}"


def _warnings(settings: "Settings") -> dict[str, str]:
    """What is no mistake, and may not be meant; above all what is not here now and must be where the bridge runs."""
    from bridge.settings import Credentials
    from bridge.settings.loading import strangers

    found = {f"environment {name}": "is no setting" for name in strangers()}
    for index, cluster in enumerate(settings.clusters):
        at = f"clusters[{index}]"
        if cluster.kubeconfig and not cluster.kubeconfig.is_file():
            found[f"{at}.kubeconfig"] = f"{cluster.kubeconfig} is not there"
        if not cluster.governed.namespace_selector.selector().requirements:
            found[f"{at}.governed.namespaceSelector"] = "selects every namespace"
        if not cluster.service_ranges:
            found[f"{at}.serviceRanges"] = "none is stated: rules with wide destinations reach cluster addresses"
    for index, device in enumerate(settings.devices):
        at = f"devices[{index}]"
        for name, words in Credentials(device.credentials).absent().items():
            found[f"{at}.credentials.{name}"] = words.removeprefix(f"{name}: ")
        files = {"caFile": device.tls.ca_file, "certFile": device.tls.cert_file, "keyFile": device.tls.key_file}
        found |= {
            f"{at}.tls.{key}": f"{path} is not there" for key, path in files.items() if path and not path.is_file()
        }
        if not device.tls.verify:
            found[f"{at}.tls.verify"] = "whoever answers is trusted with the credentials"
        if device.url.startswith("http://"):
            found[f"{at}.url"] = "credentials go over the wire in the clear"
    return found | _api_warnings(settings)


def _api_warnings(settings: "Settings") -> dict[str, str]:
    from bridge.settings.credentials import Credentials, CredentialsSettings

    api, found = settings.api, dict[str, str]()
    for index, one in enumerate(api.tokens):
        for name, words in Credentials(CredentialsSettings.model_construct(token=one.token)).absent().items():
            found[f"api.tokens[{index}].token"] = words.removeprefix(f"{name}: ")
    files = {
        "tls.certFile": api.tls and api.tls.cert_file,
        "tls.keyFile": api.tls and api.tls.key_file,
        "oidc.caFile": api.oidc and api.oidc.ca_file,
    }
    return found | {f"api.{key}": f"{path} is not there" for key, path in files.items() if path and not path.is_file()}
