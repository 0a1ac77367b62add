"""Writes the typed views that src/**/*.view declare: structs and the tables to decode them."""
import dataclasses
import re

from schema_parse import SchemaError, strip_comment
from schema_tables import group_text, text

FRONT = "// Made by tools/schemagen.py from {}. Do not edit.\n"
# Strings that many objects share: held as api::Interned.
INTERNED = set("""apiVersion component dnsPolicy effect fieldPath fieldType group host hostIP
    imagePullPolicy kind namespace nodeName operation operator phase policy preemptionPolicy
    priorityClassName protocol qosClass reason reportingComponent reportingController restartPolicy
    runtimeClassName schedulerName scheme serviceAccountName status subdomain
    terminationMessagePath terminationMessagePolicy topologyKey type""".split())
INTERNED_MAPS = {"labels", "matchLabels", "nodeSelector", "selector"}
KEYWORDS = set("""and auto bool break case char class const continue default delete do double else
    enum explicit export extern false float for friend goto if inline int long mutable namespace
    new not operator or private protected public register return short signed sizeof static struct switch
    template this throw true try typedef union unsigned using virtual void volatile while
    xor""".split())
SIMPLE = {"Bool": "bool", "Int32": "int32_t", "Int64": "int64_t", "Double": "double",
          "Quantity": "api::Quantity", "IntOrString": "api::IntOrString", "Time": "WallTime",
          "MicroTime": "WallTime", "Duration": "Duration", "StringList": "std::vector<std::string>"}


def view_files(root):
    return sorted((root / "src").rglob("*.view"))


def generated(layer, stem):
    return [f"{layer}/{stem}.h", f"{layer}/{stem}_view.cc"]


def member(name):
    return name + "_" if name in KEYWORDS else name


class Struct:
    """One C++ struct: a message and which of its fields."""

    def __init__(self, name, message):
        self.name, self.message = name, message
        self.members = []   # (Field, C++ type, Struct or None)
        self.nested = []    # what is defined inside, in order


class Views:
    def __init__(self, schema, root):
        self.schema, self.root = schema, root

    def files(self):
        out = {}
        for path in view_files(self.root):
            shown = path.relative_to(self.root)
            if path.with_suffix(".h").exists():
                raise SchemaError(f"{shown}: {path.stem}.h stands beside it; take another name")
            layer = shown.parts[1]
            header, source = generated(layer, path.stem)
            out[header], out[source] = ViewFile(self.schema, path, shown, layer).write()
        return out


class ViewFile:
    def __init__(self, schema, path, shown, layer):
        self.schema, self.shown, self.layer = schema, shown, layer
        self.stem = path.stem
        self.tokens = []   # (word, line)
        for number, line in enumerate(path.read_text().splitlines(), 1):
            self.tokens += [(word, number) for word in re.findall(r"[\w.\-]+|[{}*?=]|\S",
                                                                  strip_comment(line))]
        self.at = 0
        self.views = {}

    def error(self, problem):
        line = self.tokens[min(self.at, len(self.tokens)) - 1][1] if self.tokens else 1
        raise SchemaError(f"{self.shown}:{line}: {problem}")

    def peek(self):
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def take(self, wanted=None):
        word = self.peek()
        self.at += 1
        if not word or (wanted and word != wanted):
            self.error(f"expected '{wanted or 'a word'}', found '{word or 'the end'}'")
        return word

    def write(self):
        while self.peek():
            self.take("view")
            name, message = self.take(), self.take()
            if message not in self.schema.messages:
                self.error(f"there is no message {message}")
            if name in self.views:
                self.error(f"there is a view {name} already")
            self.outer = Struct(name, self.schema.messages[message])
            self.named = {}
            if self.peek() == "*":
                self.take()
                self.whole(self.outer, top=True)
            else:
                self.body(self.outer, top=True)
            self.views[name] = self.outer
        return self.header(), self.source()

    # Reading.

    def flat(self, message):
        return {name: self.schema.messages[owner].fields[index]
                for name, (owner, index) in self.schema.flat(message)}

    def body(self, struct, top=False):
        fields = self.flat(struct.message)
        self.take("{")
        while self.peek() != "}":
            name = self.take()
            if name not in fields:
                self.error(f"{struct.message.name} has no '{name}'")
            if any(name == field.name for field, _, _ in struct.members):
                self.error(f"'{name}' is here twice")
            boxed = self.peek() == "?" and bool(self.take())
            self.add(struct, fields[name], boxed)
        self.take("}")

    def add(self, struct, field, boxed):
        if field.type != "Message":
            if self.peek() == "*":
                self.take()
            struct.members.append((field, self.type_of(field, boxed), None))
            return
        message = self.schema.messages[field.message]
        word = self.peek()
        if word == "=":
            self.take()
            if self.peek() == "raw":   # the message's JSON text
                self.take()
                text_field = dataclasses.replace(field, type="Any", message="")
                struct.members.append((text_field, self.type_of(text_field, False), None))
                return
            below = self.views.get(self.take())
            if below is None or below.message is not message:
                self.error(f"that is no view of {field.message} above this one")
        elif word == "*":
            self.take()
            below = self.whole_of(message)
        elif word == "{":
            below = Struct(message.short, message)
            self.body(below)
            below = self.place(below, field)
        else:
            self.error(f"say which fields of '{field.name}': {{ … }}, * or = VIEW")
        struct.members.append((field, self.held(field, below.name, boxed), below))

    def place(self, struct, field):
        """The same fields of the same message share a struct; others get a name of their own."""
        for name in (struct.name, field.name[0].upper() + field.name[1:],
                     struct.name + field.name[0].upper() + field.name[1:]):
            known = self.named.get(name)
            if known is None and not self.taken(name):
                struct.name = name
                self.named[name] = struct
                self.outer.nested.append(struct)
                return struct
            if known and known.message is struct.message and known.members == struct.members:
                return known
        self.error(f"there are too many views of {struct.message.name} here: name one and use =")

    def taken(self, name):   # it would hide a view of this file
        return name in self.views or name == self.outer.name

    def whole_of(self, message):
        key = "*" + message.name
        if key not in self.named:
            name = message.short
            while name in self.named or self.taken(name):
                name = "Whole" + name
            struct = self.named[key] = self.named[name] = Struct(name, message)
            self.whole(struct)
            self.outer.nested.append(struct)
        return self.named[key]

    def whole(self, struct, top=False):
        for field in self.flat(struct.message).values():
            if field.number == 0 or field.name == "managedFields":
                continue
            if field.type != "Message":
                struct.members.append((field, self.type_of(field, False), None))
            else:
                below = self.whole_of(self.schema.messages[field.message])
                struct.members.append((field, self.held(field, below.name, False), below))

    # Types.

    def type_of(self, field, boxed):
        value = SIMPLE.get(field.type, "std::string")
        if field.type == "String" and field.shape == "Single":
            if field.name in INTERNED or field.enum:
                value = "api::Interned"
        if field.shape == "Map" and field.type == "String" and field.name in INTERNED_MAPS:
            return "api::Labels"
        if field.shape == "Map" and field.type == "Quantity":
            return "api::ResourceList"
        return self.held(field, value, boxed)

    def held(self, field, value, boxed):
        if field.shape == "List":
            return f"std::vector<{value}>"
        if field.shape == "Map":
            return f"api::SortedMap<std::string, {value}>"
        if field.type == "Message":
            optional = boxed or field.presence == "Optional"
            return f"api::Boxed<{value}>" if optional else value
        if field.type in ("Time", "MicroTime", "Duration"):
            return f"std::optional<{value}>"
        if value == "api::Interned":   # "" is absent: no such field tells them apart
            return value
        if field.presence == "Optional" and field.type not in ("Any", "FieldsV1"):
            return f"std::optional<{value}>"
        return value

    # Writing.

    def header(self):
        lines = [FRONT.format(self.shown), "#pragma once\n", '#include "api/view.h"\n',
                 f"namespace skiff::{self.layer}::view {{\n"]
        for view in self.views.values():
            lines += self.struct_lines(view, "", view)
            lines.append("")
        lines += [f"}}   // namespace skiff::{self.layer}::view", ""]
        return "\n".join(lines)

    def struct_lines(self, struct, indent, outer):
        lines = [f"{indent}struct {struct.name} {{"]
        inner = indent + "    "
        if struct is outer:
            lines += [f"{inner}struct {one.name};" for one in struct.nested]
            for one in struct.nested:
                lines += self.struct_lines(one, inner, outer)
        zero = ("bool", "int32_t", "int64_t", "double")
        for field, type_, _ in struct.members:
            lines.append(f"{inner}{type_} {member(field.name)}{' = {}' if type_ in zero else ''};")
        lines.append(f"{inner}bool operator==(const {struct.name}&) const = default;")
        if struct is outer:
            kind = self.schema.kinds.get(struct.message.name)
            if kind:
                lines.append("")
                for key, value in (("group", group_text(kind.group)), ("version", kind.version),
                                   ("resource", kind.names[0]), ("kind", kind.kind)):
                    lines.append(f"{inner}static constexpr std::string_view {key} = {text(value)};")
            lines.append(f"{inner}static const api::ViewTable& table();")
        return lines + [f"{indent}}};"]

    def source(self):
        lines = [FRONT.format(self.shown), f'#include "{self.layer}/{self.stem}.h"\n',
                 "#include <cstddef>\n", f"namespace skiff::{self.layer}::view {{", "namespace {\n",
                 "using api::ViewHolderOf;", "using api::ViewShape;", "using api::ViewType;",
                 '#pragma GCC diagnostic ignored "-Winvalid-offsetof"\n']
        for view in self.views.values():
            everything = [*view.nested, view]
            lines += [f"extern const api::ViewTable {self.table_name(view, one)};"
                      for one in everything]
            for one in everything:
                lines += self.table_lines(view, one)
        lines += ["\n}   // namespace\n"]
        lines += [f"const api::ViewTable& {view.name}::table() {{ "
                  f"return {self.table_name(view, view)}; }}"
                  for view in self.views.values()]
        lines += [f"\n}}   // namespace skiff::{self.layer}::view", ""]
        return "\n".join(lines)

    def table_name(self, view, struct):
        return f"t_{view.name}" if struct is view else f"t_{view.name}_{struct.name}"

    def table_lines(self, view, struct):
        name = self.table_name(view, struct)
        scope = view.name if struct is view else f"{view.name}::{struct.name}"
        rows = []
        for field, type_, below in struct.members:
            one = f"{scope}::{member(field.name)}"
            table = "nullptr"
            if below is not None:
                table = "&" + (self.table_name(below, below) if below in self.views.values()
                               else self.table_name(view, below))
            rows.append(f"    {{{text(field.name)}, offsetof({scope}, {member(field.name)}), "
                        f"ViewType::{self.view_type(field, type_)}, ViewShape::{field.shape}, "
                        f"{'true' if field.presence == 'Always' else 'false'}, "
                        f"&ViewHolderOf<decltype({one})>::holder, {table}}},")
        lines = []
        fields = "{}"
        if rows:
            lines = [f"constexpr api::ViewField f{name[1:]}[] = {{", *rows, "};"]
            fields = f"f{name[1:]}"
        message = struct.message
        typed = ""
        if struct is view and message.typed:
            group = group_text("core" if message.group == "meta" else message.group)
            version = f"{group}/{message.version}" if group else message.version
            typed = f", {text(version)}, {text(message.short)}"
        return lines + [f"constinit const api::ViewTable {name}{{{fields}{typed}}};"]

    def view_type(self, field, type_):
        if field.type == "String" and ("Interned" in type_ or type_ == "api::Labels"):
            return "Interned"
        if field.type in ("Any", "FieldsV1"):
            return "Raw"
        return field.type
