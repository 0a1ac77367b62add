#!/usr/bin/env python3
"""What schemagen makes of good and bad schemas and views."""
import pathlib
import tempfile
import unittest

import schema_parse
import schema_tables
import schema_views

META = "message ObjectMeta {\n 1 name string\n}\nmessage ListMeta {\n 1 continue string\n}\n"
THING = """/// A thing.
kind Thing {
  names things thing th
  column "Ready" string "{status.ready}"
  /// Its name.
  1 metadata meta.v1.ObjectMeta
  2 spec     ThingSpec?
}
/// What it should be.
message ThingSpec {
  1 colour string   default "Red", enum Red|Green
  2 parts  []Part   patch merge(name) retainKeys, list map(name)
  3 more   map[string]Quantity
  4 reserved
  5 mixin  Mixin    inline
}
message Part {
  1 name string  required
}
message Mixin {
  1 extra IntOrString
}
"""


def load(files):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        schema = schema_parse.load(root / "schema")
        views = schema_views.Views(schema, root).files()
        return schema, schema_tables.Tables(schema).files(), views


def with_thing(text=THING, view=None):
    files = {"schema/meta/v1/meta.api": META, "schema/g.io/v1/thing.api": text}
    if view:
        files["src/agent/things.view"] = view
    return load(files)


class Schemagen(unittest.TestCase):
    def test_tables(self):
        schema, files, _ = with_thing()
        self.assertEqual(set(files), {"api/schema_registry.cc", "api/schema_meta_v1.cc",
                                      "api/schema_g_io_v1.cc"})
        text = files["api/schema_g_io_v1.cc"]
        for part in ['.default_json = "\\"Red\\""', ".patch = PatchStrategy::MergeRetainKeys",
                     '.openapi_name = "io.k8s.api.g.v1.ThingSpec"', "k_g_io_v1_Thing",
                     '"Ready", "string", "", "", 0, "{status.ready}"', "m_g_io_v1_ThingList"]:
            self.assertIn(part, text)
        spec = schema.messages["g.io.v1.ThingSpec"]
        self.assertEqual(schema.flat_names(spec), ["colour", "parts", "more", "extra"])

    def test_every_name_has_its_slot(self):
        names = [f"field{i}" for i in range(200)]
        seed, slots = schema_tables.name_index(names)
        for index, name in enumerate(names):
            at = schema_tables.field_hash(name, seed) % len(slots)
            while slots[at] != index + 1:
                self.assertNotEqual(slots[at], 0)
                at = (at + 1) % len(slots)

    def test_mistakes_are_told_with_their_place(self):
        for old, new, wanted in [
                ('1 name string', '1 name strin', "thing.api:18: there is no message g.io.v1.strin"),
                ('4 reserved', '3 reserve', "thing.api:14: expected `number name type rules`"),
                ('4 reserved', '3 again bool', "thing.api:14: number 3 is taken"),
                ('4 reserved', '4 more bool', "thing.api:14: there is a 'more' already"),
                ('4 reserved', '4 extra bool', "thing.api:10: ThingSpec has 'extra' twice"),
                ('default "Red"', 'default 7', "thing.api:11: the default of colour does not fit"),
                ('default "Red"', 'defalt 7', "thing.api:11: 'defalt 7' is no rule"),
                ('list map(name)', 'list map(nam)', "thing.api:12: key 'nam' is no field"),
                ('names things thing th', 'nams things', "thing.api:3: 'nams things' says nothing"),
                ('message Mixin {', 'message Part {', "thing.api:20: g.io.v1.Part is already"),
                ('message Mixin {', 'massage Mixin {', "thing.api:20: expected `kind NAME {`"),
                ('inline', 'inline, stored x', "thing.api:15: 'stored x' is no rule")]:
            with self.subTest(wanted), self.assertRaises(schema_parse.SchemaError) as caught:
                with_thing(THING.replace(old, new))
            self.assertIn(wanted, str(caught.exception))

    def test_views(self):
        _, _, files = with_thing(view="""
            view Part g.io.v1.Part { name }
            view Thing g.io.v1.Thing { metadata { name } spec { colour extra more parts = Part } }
            view All g.io.v1.Thing *
            view Text g.io.v1.Thing { spec = raw }
            """)
        text = files["agent/things.h"]
        for part in ["api::Boxed<ThingSpec> spec;", "api::Interned colour;", "std::vector<Part> parts;",
                     "api::ResourceList more;", "std::string spec;", "api::IntOrString extra;", 'resource = "things";']:
            self.assertIn(part, text)

    def test_mistakes_in_views(self):
        for view, wanted in [
                ("view Thing g.io.v1.Thin { }", "things.view:1: there is no message g.io.v1.Thin"),
                ("view Thing g.io.v1.Thing {\n nam }", "things.view:2: g.io.v1.Thing has no 'nam'"),
                ("view Thing g.io.v1.Thing {\n spec }", "say which fields of 'spec'"),
                ("view Thing g.io.v1.Thing { spec = X }", "no view of g.io.v1.ThingSpec"),
                ("view Thing g.io.v1.Thing {", "found 'the end'")]:
            with self.subTest(wanted), self.assertRaises(schema_parse.SchemaError) as caught:
                with_thing(view=view)
            self.assertIn(wanted, str(caught.exception))


if __name__ == "__main__":
    unittest.main()
