"""Writes the typed views that src/**/*.view declare: structs and the tables to decode them."""


def view_files(root):
    return sorted((root / "src").rglob("*.view"))


def generated(layer, stem):
    return [f"{layer}/{stem}.h", f"{layer}/{stem}_view.cc"]


class Views:
    def __init__(self, schema, root):
        self.schema, self.root = schema, root

    def files(self):
        return {}
