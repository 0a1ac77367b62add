"""Writes the parsed schema as constinit C++ tables: one .cc a group-version and one registry."""
import json
import re
import zlib

FRONT = "// Made by tools/schemagen.py from schema/. Do not edit.\n"


def ident(name):
    return re.sub(r"\W", "_", name)


def text(value):
    return json.dumps(value, ensure_ascii=False)


def group_text(group):
    return "" if group == "core" else group


def field_hash(name, seed):
    """The same as field_hash in src/api/schema.cc."""
    data = name.encode()
    size = len(data)
    value = size
    for at in (0, size // 4, size // 2, size - 1 - size // 4, size - 1):
        value = (value * seed + data[at]) & 0xFFFFFFFF
    return value ^ (value >> 13)


def name_index(names):
    """Open addressing, the seed with the fewest probes: (seed, slots), a slot being index + 1."""
    size = 4
    while size < 2 * len(names):
        size *= 2
    best = None
    for seed in range(3, 515, 4):
        slots, probes = [0] * size, 0
        for index, name in enumerate(names):
            at = field_hash(name, seed) % size
            while slots[at]:
                at, probes = (at + 1) % size, probes + 1
            slots[at] = index + 1
        if best is None or probes < best[0]:
            best = (probes, seed, slots)
        if probes == 0:
            break
    return best[1], best[2]


class Tables:
    def __init__(self, schema):
        self.schema = schema

    def files(self):
        """{path below gen: content}"""
        out = {"api/schema_registry.cc": self.registry()}
        for gv in self.group_versions():
            out[table_path(*gv)] = GroupVersionFile(self.schema, *gv).write()
        return out

    def group_versions(self):
        return sorted({(m.group, m.version) for m in self.schema.messages.values()})

    def registry(self):
        kinds = sorted(self.schema.kinds.values(), key=kind_order)
        messages = sorted(self.schema.messages.values(), key=lambda m: m.name.encode())
        lines = [FRONT, '#include "api/schema_tables.h"\n', "namespace skiff::api::tables {"]
        lines += [f"extern const Kind k_{ident(k.name)};" for k in kinds]
        lines += [f"extern const Message m_{ident(m.name)};" for m in messages]
        lines.append("constexpr const Kind* kinds[] = {")
        lines += [f"    &k_{ident(k.name)}," for k in kinds]
        lines += ["};", "constexpr const Message* messages[] = {"]
        lines += [f"    &m_{ident(m.name)}," for m in messages]
        lines += ["};", "std::span<const Kind* const> all_kinds() { return kinds; }",
                  "std::span<const Message* const> all_messages() { return messages; }",
                  "}   // namespace skiff::api::tables", ""]
        return "\n".join(lines)


def table_path(group, version):
    return f"api/schema_{ident(group)}_{version}.cc"


def version_order(version):
    """Kubernetes' priority: v2, v1, v1beta2, v1beta1, v1alpha1."""
    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    stage = {None: 2, "beta": 1, "alpha": 0}[match[2]]
    return (-stage, -int(match[1]), -int(match[3] or 0))


def kind_order(kind):
    # What comes first is what `kubectl get KIND` asks for: the old group late, what only tells of
    # other objects last.
    late = {"extensions": 1, "metrics.k8s.io": 2}
    return (kind.group != "core", late.get(kind.group, 0), kind.group,
            version_order(kind.version), kind.kind)


class GroupVersionFile:
    def __init__(self, schema, group, version):
        self.schema, self.group, self.version = schema, group, version
        self.texts, self.lines, self.declared = {}, [], set()

    def write(self):
        mine = (self.group, self.version)
        self.messages = [m for m in self.schema.messages.values() if (m.group, m.version) == mine]
        self.kinds = [k for k in self.schema.kinds.values() if (k.group, k.version) == mine]
        for message in self.messages:
            self.message(message)
        for kind in self.kinds:
            self.kind(kind)
        externs = sorted(self.declared)
        return "\n".join([FRONT, '#include "api/schema_tables.h"\n',
                          "namespace skiff::api::tables {", *externs, *self.lines,
                          "}   // namespace skiff::api::tables", ""])

    def use_message(self, name):
        self.declared.add(f"extern const Message m_{ident(name)};")
        return f"&m_{ident(name)}"

    def use_fields(self, name):
        count = len(self.schema.messages[name].fields)
        if count:
            self.declared.add(f"extern const Field f_{ident(name)}[{count}];")
        return f"f_{ident(name)}"

    def use_kind(self, name):
        self.declared.add(f"extern const Kind k_{ident(name)};")
        return f"&k_{ident(name)}"

    def text_list(self, values):
        key = tuple(values)
        if key not in self.texts:
            self.texts[key] = f"t_{len(self.texts)}"
            body = ", ".join(text(value) for value in values)
            name = self.texts[key]
            self.lines.append(f"static constexpr std::string_view {name}[] = {{{body}}};")
        return self.texts[key]

    def message(self, message):
        parts = [f".name = {text(message.name)}"]
        if message.fields:
            name = self.use_fields(message.name)
            rows = [self.field(field) for field in message.fields]
            self.lines.append(f"constinit const Field {name}[{len(rows)}] = {{")
            self.lines += [f"    {row}," for row in rows]
            self.lines.append("};")
            parts.append(f".fields = {name}")
        if message.doc:
            parts.append(f".doc = {text(message.doc)}")
        parts.append(f".openapi_name = {text(message.openapi)}")
        flat = self.schema.flat(message)
        if len(flat) > 250:   # the slots are bytes, and the normaliser counts on it
            self.schema.error(f"{message.short} has too many fields", message.where)
        if flat:
            parts += self.index(message, flat)
        self.use_message(message.name)
        name = ident(message.name)
        self.lines.append(f"constinit const Message m_{name} = {{{', '.join(parts)}}};")

    def index(self, message, flat):
        name = ident(message.name)
        pointers = ", ".join(f"&{self.use_fields(owner)}[{index}]" for _, (owner, index) in flat)
        seed, slots = name_index([field_name for field_name, _ in flat])
        self.lines.append(f"static constexpr const Field* a_{name}[] = {{{pointers}}};")
        slot_list = ", ".join(map(str, slots))
        self.lines.append(f"static constexpr uint8_t h_{name}[] = {{{slot_list}}};")
        return [f".all = a_{name}", f".slots = h_{name}", f".hash_seed = {seed}"]

    def field(self, field):
        parts = [f".number = {field.number}", f".name = {text(field.name)}"]
        for key, enum, value, absent in (
                ("type", "Type", field.type, "String"), ("shape", "Shape", field.shape, "Single"),
                ("presence", "Presence", field.presence, "Plain")):
            if value != absent:
                parts.append(f".{key} = {enum}::{value}")
        for key, value in (("required", field.required), ("immutable", field.immutable),
                           ("inline_", field.inline)):
            if value:
                parts.append(f".{key} = true")
        if field.message:
            parts.append(f".message = {self.use_message(field.message)}")
        if field.has_default:
            value = json.dumps(field.default, separators=(",", ":"), ensure_ascii=False)
            parts.append(f".default_json = {text(value)}")
        if field.enum:
            parts.append(f".enum_values = {self.text_list(field.enum)}")
        parts += [".has_min = true"] if field.minimum is not None else []
        parts += [".has_max = true"] if field.maximum is not None else []
        parts += [f".min = {field.minimum}"] if field.minimum is not None else []
        parts += [f".max = {field.maximum}"] if field.maximum is not None else []
        parts += [f".format = Format::{field.format}"] if field.format else []
        parts += [f".patch = PatchStrategy::{field.patch}"] if field.patch != "Replace" else []
        parts += [f".merge_key = {text(field.merge_key)}"] if field.merge_key else []
        if field.list_type != "Atomic":
            parts.append(f".list_type = ListType::{field.list_type}")
        parts += [f".map_keys = {self.text_list(field.map_keys)}"] if field.map_keys else []
        parts += [".map_type = MapType::Atomic"] if field.map_type != "Granular" else []
        parts += [".unique = true"] if field.unique else []
        parts += [f".doc = {text(field.doc)}"] if field.doc else []
        parts += [f".since_minor = {field.since}"] if field.since else []
        return "{" + ", ".join(parts) + "}"

    def rows(self, name, type_, rows):
        self.lines.append(f"static constexpr {type_} {name}[] = {{")
        self.lines += [f"    {{{row}}}," for row in rows]
        self.lines.append("};")
        return name

    def revision(self, kind):
        """Changes when the normal form of the kind's objects may: with any field below it."""
        seen, todo, lines = set(), [kind.name], []
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            for field in self.schema.messages[name].fields:
                lines.append(f"{name} {field.name} {field.type} {field.shape} {field.presence} "
                             f"{field.message} {field.default!r}")
                todo += [field.message] if field.message else []
        return zlib.crc32("\n".join(sorted(lines)).encode()) or 1

    def kind(self, kind):
        name = ident(kind.name)
        parts = [f".group = {text(group_text(kind.group))}", f".version = {text(kind.version)}",
                 f".kind = {text(kind.kind)}", f".list_kind = {text(kind.kind + 'List')}",
                 f".plural = {text(kind.names[0])}", f".singular = {text(kind.names[1])}"]
        if kind.names[2:]:
            parts.append(f".short_names = {self.text_list(kind.names[2:])}")
        if kind.categories:
            parts.append(f".categories = {self.text_list(kind.categories)}")
        parts += [f".scope = Scope::{kind.scope}", f".verbs = {text(kind.verbs)}",
                  f".message = {self.use_message(kind.name)}"]
        if kind.subresources:
            rows = [", ".join(text(word) for word in (s[0], s[2], s[3], s[4], s[1]))
                    for s in kind.subresources]
            parts.append(f".subresources = {self.rows('s_' + name, 'Subresource', rows)}")
        rows = [f"{text(c[0])}, {text(c[1])}, {text(c[4])}, {text(c[5])}, {c[3]}, {text(c[2])}"
                for c in kind.columns]
        parts.append(f".columns = {self.rows('c_' + name, 'Column', rows)}")
        if kind.select:
            parts.append(f".selectable_fields = {self.text_list(kind.select)}")
        parts.append(f".storage_prefix = {text(kind.prefix)}")
        if kind.stored:
            parts.append(f".stored = {self.use_kind(kind.stored)}")
        if kind.differences:
            rows = [f"Difference::Kind::{d[0]}, {text(d[1])}, {text(d[2])}, {text(d[3])}"
                    for d in kind.differences]
            parts.append(f".differences = {self.rows('d_' + name, 'Difference', rows)}")
        parts += [".has_status = true"] if kind.status else []
        parts += [".has_generation = true"] if kind.generation else []
        parts += [f".rules = {text(kind.rules)}"] if kind.rules else []
        parts.append(f".name_format = {text(kind.name_format)}")
        if kind.deprecated:
            parts += [".deprecated = true", f".replacement = {text(kind.replacement)}",
                      f".deprecated_since = {text(kind.deprecated)}"]
        if "list" in kind.verbs.split(","):
            parts.append(f".list_message = {self.use_message(kind.name + 'List')}")
        parts.append(f".schema_revision = {self.revision(kind)}u")
        self.use_kind(kind.name)
        body = ",\n    ".join(parts)
        self.lines.append(f"constinit const Kind k_{name} = {{\n    {body}}};")
