"""Reads schema/**/*.api into plain objects and checks what can be checked without C++.
The grammar is in schema/README.md."""
import dataclasses
import json
import pathlib
import re

SCALARS = {
    "bool": "Bool", "int32": "Int32", "int64": "Int64", "double": "Double", "string": "String",
    "bytes": "Bytes", "Time": "Time", "MicroTime": "MicroTime", "Duration": "Duration",
    "Quantity": "Quantity", "IntOrString": "IntOrString", "any": "Any", "FieldsV1": "FieldsV1",
    "strings": "StringList",
}
FORMATS = {
    "dns1123_label": "Dns1123Label", "dns1123_subdomain": "Dns1123Subdomain",
    "dns1035_label": "Dns1035Label", "qualified_name": "QualifiedName",
    "label_value": "LabelValue", "port_number": "PortNumber", "port_name": "PortName", "ip": "Ip",
    "cidr": "Cidr", "env_var_name": "EnvVarName", "config_map_key": "ConfigMapKey",
    "absolute_path": "AbsolutePath", "uuid": "Uuid",
}
NAME_FORMATS = {"dns1123subdomain", "dns1123label", "dns1035label", "path"}
VERBS_ALL = "create,delete,deletecollection,get,list,patch,update,watch"
# Groups whose Go package, and so OpenAPI name, is not k8s.io/api/<first label>.
OPENAPI_PACKAGES = {
    "meta": "io.k8s.apimachinery.pkg.apis.meta",
    "apiextensions.k8s.io": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
    "apiregistration.k8s.io": "io.k8s.kube-aggregator.pkg.apis.apiregistration",
    "internal.apiserver.k8s.io": "io.k8s.api.apiserverinternal",
}


class SchemaError(Exception):
    pass


@dataclasses.dataclass
class Field:
    where: str
    number: int
    name: str
    type: str = "String"
    shape: str = "Single"
    presence: str = "Plain"
    message: str = ""
    doc: str = ""
    required: bool = False
    immutable: bool = False
    inline: bool = False
    default: object = None
    has_default: bool = False
    enum: list = dataclasses.field(default_factory=list)
    minimum: int | None = None
    maximum: int | None = None
    format: str = ""
    patch: str = "Replace"
    merge_key: str = ""
    list_type: str = "Atomic"
    map_keys: list = dataclasses.field(default_factory=list)
    map_type: str = "Granular"
    unique: bool = False
    since: int = 0


@dataclasses.dataclass
class Message:
    where: str
    group: str
    version: str
    short: str
    doc: str = ""
    typed: bool = False    # has apiVersion and kind
    atomic: bool = False   # owned as a whole in server-side apply
    fields: list = dataclasses.field(default_factory=list)
    reserved: set = dataclasses.field(default_factory=set)

    @property
    def name(self):
        return f"{self.group}.{self.version}.{self.short}"

    @property
    def openapi(self):
        package = OPENAPI_PACKAGES.get(self.group) or "io.k8s.api." + self.group.split(".")[0]
        return f"{package}.{self.version}.{self.short}"


@dataclasses.dataclass
class Kind:
    where: str
    group: str   # the folder's: "core" for ""
    version: str
    kind: str
    doc: str = ""
    scope: str = "Namespaced"
    names: list = dataclasses.field(default_factory=list)
    categories: list = dataclasses.field(default_factory=list)
    prefix: str = ""
    verbs: str = VERBS_ALL
    status: bool = False
    generation: bool = False
    rules: str = ""
    name_format: str = "dns1123subdomain"
    # (name, verbs, kind, group, version)
    subresources: list = dataclasses.field(default_factory=list)
    select: list = dataclasses.field(default_factory=list)
    # (name, type, cell, priority, format, doc)
    columns: list = dataclasses.field(default_factory=list)
    deprecated: str = ""
    replacement: str = ""
    stored: str = ""
    differences: list = dataclasses.field(default_factory=list)   # (kind, path, stored_path, value)

    @property
    def name(self):
        return f"{self.group}.{self.version}.{self.kind}"


def strip_comment(line):
    quoted = False
    for at, char in enumerate(line):
        if char == '"' and line[at - 1:at] != "\\":
            quoted = not quoted
        if not quoted and line.startswith("//", at):
            return line[:at].strip()
    return line.strip()


def split_rules(text):
    """Splits at commas outside brackets and quotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for at, char in enumerate(text):
        if char == '"' and text[at - 1:at] != "\\":
            quoted = not quoted
        elif not quoted and char in "([{":
            depth += 1
        elif not quoted and char in ")]}":
            depth -= 1
        elif not quoted and depth == 0 and char == ",":
            parts.append(text[start:at].strip())
            start = at + 1
    parts.append(text[start:].strip())
    return [part for part in parts if part]


class Parser:
    def __init__(self):
        self.messages = {}
        self.kinds = {}

    def read(self, root):
        for path in sorted(root.rglob("*.api")):
            self.read_file(path, path.relative_to(root.parent))

    def read_file(self, path, shown):
        group, version = path.parent.parent.name, path.parent.name
        self.block, self.docs = None, []
        for number, line in enumerate(path.read_text().splitlines(), 1):
            self.where = f"{shown}:{number}"
            stripped = line.strip()
            if stripped.startswith("///"):
                self.docs.append(stripped[3:].strip())
                continue
            text = strip_comment(line)
            if not text:
                continue
            if self.block is None:
                self.open_block(text, group, version)
            elif text == "}":
                self.block = None
            elif text[0].isdigit():
                self.field(text)
            elif isinstance(self.block, Kind):
                self.kind_line(text)
            else:
                self.error(f"'{text}' is no field")
            self.docs = []
        if self.block is not None:
            self.error("the last block is not closed")

    def error(self, text, where=None):
        raise SchemaError(f"{where or self.where}: {text}")

    def open_block(self, text, group, version):
        match = re.fullmatch(r"(kind|message) (\w+)( typed)?( atomic)? \{", text)
        if not match:
            self.error("expected `kind NAME {` or `message NAME {`")
        word, name, typed = match[1], match[2], bool(match[3])
        doc = " ".join(self.docs)
        message = Message(self.where, group, version, name, doc, typed or word == "kind",
                          bool(match[4]))
        if message.name in self.messages:
            self.error(f"{message.name} is already defined at {self.messages[message.name].where}")
        self.messages[message.name] = self.message = message
        self.block = message
        if word == "kind":
            self.block = Kind(self.where, group, version, name, doc)
            self.kinds[message.name] = self.block

    def field(self, text):
        match = re.fullmatch(r"(\d+)\s+reserved", text)
        if match:
            self.message.reserved.add(int(match[1]))
            return
        match = re.fullmatch(r"(\d+)\s+([A-Za-z]\w*)\s+(\S+?)(?:\s+(.*))?", text)
        if not match:
            self.error("expected `number name type rules`")
        field = Field(self.where, int(match[1]), match[2], doc=" ".join(self.docs))
        self.field_type(field, match[3].rstrip(","))
        for rule in split_rules(match[4] or ""):
            self.rule(field, rule)
        taken = {other.number for other in self.message.fields} | self.message.reserved
        if field.number in taken:
            self.error(f"number {field.number} is taken")
        if field.name in {other.name for other in self.message.fields}:
            self.error(f"there is a '{field.name}' already")
        self.message.fields.append(field)

    def field_type(self, field, text):
        if text.endswith("?"):
            field.presence, text = "Optional", text[:-1]
        if text.startswith("[]"):
            field.shape, text = "List", text[2:]
        elif text.startswith("map[string]"):
            field.shape, text = "Map", text[len("map[string]"):]
        if text.startswith("[]") and text[2:] == "string":
            text = "strings"
        if text in SCALARS:
            field.type = SCALARS[text]
            return
        if not re.fullmatch(r"[\w.\-]+", text):
            self.error(f"'{text}' is no type")
        field.type = "Message"
        here = f"{self.message.group}.{self.message.version}."
        field.message = text if "." in text else here + text

    def rule(self, field, rule):
        word, _, rest = rule.partition(" ")
        rest = rest.strip()
        if rule in ("required", "immutable", "inline", "unique"):
            setattr(field, rule, True)
        elif rule == "always":
            field.presence = "Always"
        elif word == "default":
            try:
                field.default, field.has_default = json.loads(rest), True
            except ValueError:
                self.error(f"the default '{rest}' is no JSON")
        elif word in ("min", "max") and re.fullmatch(r"-?\d+", rest):
            setattr(field, word + "imum", int(rest))
        elif word == "enum" and rest:
            field.enum = [value.strip().strip('"') for value in rest.split("|")]
        elif word == "format" and rest in FORMATS:
            field.format = FORMATS[rest]
        elif word == "since" and re.fullmatch(r"1\.\d+", rest):
            field.since = int(rest[2:])
        elif rule == "map atomic":
            field.map_type = "Atomic"
        elif word == "list" and rest in ("set", "atomic"):
            field.list_type = rest.capitalize()
        elif match := re.fullmatch(r"list map\(([^)]+)\)", rule):
            field.list_type = "Map"
            field.map_keys = [key.strip() for key in match[1].split(",")]
        elif match := re.fullmatch(r"patch (merge)?(?:\((\w+)\))?\s*(retainKeys)?", rule):
            field.merge_key = match[2] or ""
            field.patch = ("Merge" if match[1] else "") + ("RetainKeys" if match[3] else "")
            if not field.patch:
                self.error("patch what?")
        else:
            self.error(f"'{rule}' is no rule")

    def kind_line(self, text):
        kind = self.block
        word, _, rest = text.partition(" ")
        rest = rest.strip()
        items = [item for item in re.split(r"[,\s]+", rest) if item]
        if word == "scope" and rest in ("Namespaced", "Cluster"):
            kind.scope = rest
        elif word == "names" and len(items) >= 2:
            kind.names = items
        elif word == "categories":
            kind.categories = items
        elif word == "prefix" and items:
            kind.prefix = rest
        elif word == "verbs":
            kind.verbs = ",".join(sorted(items))
        elif text in ("status", "generation"):
            setattr(kind, text, True)
        elif word == "rules" and len(items) == 1:
            kind.rules = rest
        elif word == "name_format" and rest in NAME_FORMATS:
            kind.name_format = rest
        elif word == "subresource" and 2 <= len(rest.split()) <= 4:
            self.subresource(kind, rest.split())
        elif word == "select":
            kind.select += items
        elif word == "column":
            self.column(kind, rest)
        elif match := re.fullmatch(r'deprecated (v1\.\d+)(?: "([^"]*)")?', text):
            kind.deprecated, kind.replacement = match[1], match[2] or ""
        elif word == "stored" and len(items) == 1:
            kind.stored = rest
        elif word in ("rename", "move") and len(items) == 2:
            kind.differences.append((word.capitalize(), items[0], items[1], ""))
        elif word in ("absent", "function") and len(items) == 1:
            path, value = (items[0], "") if word == "absent" else ("", items[0])
            kind.differences.append((word.capitalize(), path, path, value))
        elif match := re.fullmatch(r"default (\S+) (.+)", text):
            value = json.dumps(json.loads(match[2]))
            kind.differences.append(("Default", match[1], match[1], value))
        else:
            self.error(f"'{text}' says nothing about a kind")

    def subresource(self, kind, words):
        name, verbs = words[0], ",".join(sorted(words[1].split(",")))
        speaks = words[2] if len(words) > 2 else kind.kind
        group, version = kind.group, kind.version
        if len(words) > 3:
            group, slash, version = words[3].rpartition("/")
            group = group or "core"
        kind.subresources.append((name, verbs, speaks, "" if group == "core" else group, version))

    def column(self, kind, rest):
        match = re.fullmatch(r'(wide )?\s*"([^"]*)"\s+(\w+)\s+"([^"]*)"(?:\s+format (\w+))?', rest)
        if not match:
            self.error('expected `column [wide] "Name" type "cell" [format name]`')
        form = match[5] or ("name" if match[2] == "Name" else "")
        kind.columns.append((match[2], match[3], match[4], 1 if match[1] else 0, form,
                             " ".join(self.docs)))

    # What follows looks across files.

    def finish(self):
        for kind in self.kinds.values():
            self.finish_kind(kind)
        for message in self.messages.values():
            if message.typed:
                message.fields[:0] = [Field(message.where, 0, "kind", doc=KIND_DOC),
                                      Field(message.where, 0, "apiVersion", doc=API_VERSION_DOC)]
        for message in self.messages.values():
            for field in message.fields:
                self.check_field(message, field)
        for message in self.messages.values():
            self.check_names(message)

    def finish_kind(self, kind):
        if not kind.names:
            self.error(f"{kind.kind} needs `names plural singular`", kind.where)
        if kind.stored and kind.stored not in self.kinds:
            self.error(f"{kind.kind} is stored as {kind.stored}, which does not exist", kind.where)
        if not kind.prefix:
            kind.prefix = f"/registry/{kind.names[0]}/"
        if kind.prefix == "none":
            kind.prefix = ""
        if kind.status:
            gv = ("" if kind.group == "core" else kind.group, kind.version)
            kind.subresources.append(("status", "get,patch,update", kind.kind, *gv))
        if "Name" not in {column[0] for column in kind.columns}:
            kind.columns.insert(0, ("Name", "string", "{metadata.name}", 0, "name", NAME_DOC))
        if len(kind.columns) == 1:
            kind.columns.append(("Age", "date", "{metadata.creationTimestamp}", 0, "", AGE_DOC))
        if "list" in kind.verbs.split(","):
            self.add_list(kind)

    def add_list(self, kind):
        doc = f"A list of {kind.kind} objects."
        message = Message(kind.where, kind.group, kind.version, kind.kind + "List", doc, True)
        message.fields = [
            Field(kind.where, 1, "metadata", "Message", message="meta.v1.ListMeta",
                  doc="Standard list metadata."),
            Field(kind.where, 2, "items", "Message", "List", "Always", kind.name, required=True,
                  doc=f"The {kind.kind} objects."),
        ]
        self.messages.setdefault(message.name, message)

    def check_field(self, message, field):
        if field.message and field.message not in self.messages:
            self.error(f"there is no message {field.message}", field.where)
        if field.inline and (field.type != "Message" or field.shape != "Single"):
            self.error("only a message can be inline", field.where)
        if field.has_default and not default_fits(field):
            self.error(f"the default of {field.name} does not fit its type", field.where)
        if field.message and self.messages[field.message].atomic:
            field.map_type = "Atomic"
        for key in field.map_keys + ([field.merge_key] if field.merge_key else []):
            if not field.message or key not in self.flat_names(self.messages[field.message]):
                self.error(f"key '{key}' is no field of {field.message or 'a scalar'}", field.where)

    def flat_names(self, message):
        return [name for name, _ in self.flat(message)]

    def flat(self, message):
        """(name, (message name, index)) of every field as JSON has them, through inline ones."""
        found = []
        for index, field in enumerate(message.fields):
            if field.inline:
                found += self.flat(self.messages[field.message])
            else:
                found.append((field.name, (message.name, index)))
        return found

    def check_names(self, message):
        names = self.flat_names(message)
        for name in names:
            if names.count(name) > 1:
                self.error(f"{message.short} has '{name}' twice", message.where)


KIND_DOC = "The kind of the object, in CamelCase; it cannot be changed."
API_VERSION_DOC = "The group and version of the schema that the object is written in."
NAME_DOC = "Name must be unique within a namespace."
AGE_DOC = "The time since the object was created."


def default_fits(field):
    value = field.default
    if field.shape == "List":
        return isinstance(value, list)
    if field.shape == "Map" or field.type == "Message":
        return isinstance(value, dict)
    if field.type == "Bool":
        return isinstance(value, bool)
    if field.type in ("Int32", "Int64"):
        return isinstance(value, int) and not isinstance(value, bool)
    if field.type == "IntOrString":
        return isinstance(value, (int, str))
    if field.type in ("Any", "FieldsV1", "Double"):
        return True
    return isinstance(value, str)


def load(root: pathlib.Path):
    parser = Parser()
    parser.read(root)
    parser.finish()
    return parser
