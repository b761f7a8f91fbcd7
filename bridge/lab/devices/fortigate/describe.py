"""What a table is, as `action=schema` and `action=default` tell it: its key, its attributes, and what they are when nothing is said.

The calls are Fortinet's; of the answer to `schema` only the members that clients look at are told, in the words of public clients.
"""

from bridge.lab.devices.fortigate.answers import FortiError, Json
from bridge.lab.devices.fortigate.fields import Field
from bridge.lab.devices.fortigate.table import Table


def described(table: Table, action: str) -> Json:
    """The results of a call with this `action`; 400 for one that there is not."""
    if action == "default":
        return {name: field.show(field.default) for name, field in table.fields.items()}
    if action != "schema":
        raise FortiError(400)
    path, _, name = table.path.partition("/")
    told: Json = {"path": path, "name": name, "category": "object" if table.single else "table"}
    if not table.single:
        told |= {"mkey": table.mkey, "mkey_type": "integer" if table.mkey == "policyid" else "string"}
    return told | {"children": {name: _child(name, field) for name, field in table.fields.items()}}


def _child(name: str, field: Field) -> Json:
    if field.listed:
        return {"name": name, "category": "table", "mkey": "name", "datasource": list(field.tables)}
    kind = "integer" if isinstance(field.default, int) else "string"
    return {"name": name, "category": "unitary", "type": kind, "default": field.default}
