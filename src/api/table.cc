#include "api/table.h"

#include <optional>
#include <vector>

#include "api/printers.h"
#include "base/text.h"
#include "codec/jsonpath.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;
using codec::JsonPath;

constexpr Column name_column{
    .name = "Name", .type = "string", .format = "name", .cell = "{metadata.name}"};
constexpr Column age_column{.name = "Age",
                            .type = "date",
                            .doc = "How long the object has existed.",
                            .cell = "{metadata.creationTimestamp}"};

std::vector<const Column*> columns_of(const Kind& kind) {
    std::vector<const Column*> columns;
    bool named = false;
    for (const Column& column : kind.columns) named = named || column.name == name_column.name;
    if (!named) columns.push_back(&name_column);
    for (const Column& column : kind.columns) columns.push_back(&column);
    if (kind.columns.empty()) columns.push_back(&age_column);
    return columns;
}

bool is_number(const Message* message, std::string_view path) {
    const Field* field = nullptr;
    for (const auto name : split(path, '.')) {
        field = message ? field_of(*message, name.substr(0, name.find('['))) : nullptr;
        if (!field) return false;
        message = field->message;
    }
    return field->type == Type::Int32 || field->type == Type::Int64;
}

struct Piece {
    std::string_view literal;
    std::optional<JsonPath> path;
    std::string_view fallback;
};

// A column made ready to print many rows.
class CellPrinter {
  public:
    CellPrinter(const Kind& kind, const Column& column) : column_{column} {
        if (column.cell.starts_with('@')) {
            printer_ = printer_of(column.cell.substr(1));
            return;
        }
        for (auto rest = column.cell; !rest.empty();) {
            const size_t open = rest.find('{');
            if (open != 0) pieces_.push_back({rest.substr(0, open), {}, {}});
            if (open == rest.npos) break;
            const size_t close = rest.find('}', open);
            add_path(kind, rest.substr(open + 1, close - open - 1));
            rest.remove_prefix(close == rest.npos ? rest.size() : close + 1);
        }
    }

    Json print(const Json& object, WallTime now, Arena& arena) const {
        if (printer_) return printer_(object, now, arena);
        if (pieces_.size() == 1 && pieces_[0].path) return print_single(object, now, arena);
        std::string text;
        for (const Piece& piece : pieces_) {
            text += piece.literal;
            if (piece.path) text += text_of(piece, object);
        }
        return Json::string(arena, text);
    }

  private:
    void add_path(const Kind& kind, std::string_view text) {
        const size_t bar = text.rfind('|');
        const auto path = text.substr(0, bar);
        auto parsed = JsonPath::parse(path);
        if (!parsed) return;   // a schema's mistake: the cell stays empty
        const bool number = kind.message && is_number(kind.message, path);
        pieces_.push_back({{},
                           *std::move(parsed),
                           bar != text.npos ? text.substr(bar + 1)
                           : number         ? "0"
                                            : ""});
    }

    static std::string text_of(const Piece& piece, const Json& object) {
        std::string text;
        bool first = true;
        for (const Json* value : piece.path->find(object)) {
            if (value->is_null()) continue;
            append(text, first ? "" : ",", codec::plain_text(*value));
            first = false;
        }
        return first ? std::string{piece.fallback} : text;
    }

    Json print_single(const Json& object, WallTime now, Arena& arena) const {
        const auto values = pieces_[0].path->find(object);
        const Json* value = values.size() == 1 ? values[0] : nullptr;
        if (column_.type == "date") {
            // As upstream, alone of all dates, "Created At" is the instant.
            const auto instant = value ? value->text() : std::string_view{};
            if (column_.name == "Created At") return Json::string(arena, instant);
            return Json::string(arena, age_of(instant, now));
        }
        const bool scalar = value && (value->is_number() || value->is_bool());
        if (scalar && column_.type != "string") return *value;
        const auto text = text_of(pieces_[0], object);
        if (column_.type == "integer" || column_.type == "number") {
            if (const auto number = parse_number<int64_t>(text)) return Json::integer(*number);
        }
        return Json::string(arena, text);
    }

    const Column& column_;
    Printer printer_ = nullptr;
    std::vector<Piece> pieces_;
};

std::vector<CellPrinter> cell_printers(const Kind& kind) {
    std::vector<CellPrinter> printers;
    for (const Column* column : columns_of(kind)) printers.emplace_back(kind, *column);
    return printers;
}

Json make_row(const std::vector<CellPrinter>& printers, const Json& object, IncludeObject include,
              std::string_view api_version, WallTime now, Arena& arena) {
    Json cells = Json::array();
    for (const CellPrinter& printer : printers)
        cells.push(arena, printer.print(object, now, arena));
    Json row = Json::object();
    row.set_borrowed(arena, "cells", cells);
    if (include == IncludeObject::Object) {
        row.set_borrowed(arena, "object", object);
    } else if (include == IncludeObject::Metadata) {
        Json& partial = row.set_borrowed(arena, "object", Json::object());
        partial.set_borrowed(arena, "kind", Json::borrowed("PartialObjectMetadata"));
        partial.set_borrowed(arena, "apiVersion", Json::string(arena, api_version));
        const Json* metadata = object.find("metadata");
        partial.set_borrowed(arena, "metadata", metadata ? *metadata : Json::object());
    }
    return row;
}

Json table_head(std::string_view api_version, std::string_view resource_version, Arena& arena) {
    Json table = Json::object();
    table.set_borrowed(arena, "kind", Json::borrowed("Table"));
    table.set_borrowed(arena, "apiVersion", Json::string(arena, api_version));
    Json& metadata = table.set_borrowed(arena, "metadata", Json::object());
    if (!resource_version.empty())
        metadata.set_borrowed(arena, "resourceVersion", Json::string(arena, resource_version));
    return table;
}

// The object's name as the schema documents it.
std::string_view name_doc(const Kind& kind) {
    const Field* metadata = kind.message ? field_of(*kind.message, "metadata") : nullptr;
    const Message* message = metadata ? metadata->message : nullptr;
    const Field* name = message ? field_of(*message, "name") : nullptr;
    return name && !name->doc.empty() ? name->doc : "What the object is called.";
}

}   // namespace

Json make_table(const Kind& kind, std::span<const Json> objects, IncludeObject include,
                std::string_view api_version, std::string_view resource_version, WallTime now,
                Arena& arena) {
    Json table = table_head(api_version, resource_version, arena);
    Json definitions = Json::array();
    for (const Column* column : columns_of(kind)) {
        const auto doc = column == &name_column ? name_doc(kind) : column->doc;
        Json& definition = definitions.push(arena, Json::object());
        definition.set_borrowed(arena, "name", Json::borrowed(column->name));
        definition.set_borrowed(arena, "type", Json::borrowed(column->type));
        definition.set_borrowed(arena, "format", Json::borrowed(column->format));
        definition.set_borrowed(arena, "description", Json::borrowed(doc));
        definition.set_borrowed(arena, "priority", Json::integer(column->priority));
    }
    table.set_borrowed(arena, "columnDefinitions", definitions);
    Json rows = Json::array();
    const auto printers = cell_printers(kind);
    for (const Json& object : objects)
        rows.push(arena, make_row(printers, object, include, api_version, now, arena));
    table.set_borrowed(arena, "rows", rows);
    return table;
}

Json make_table_row(const Kind& kind, const Json& object, IncludeObject include, WallTime now,
                    Arena& arena, std::string_view api_version) {
    Json table = table_head(api_version, object.text_at({"metadata", "resourceVersion"}), arena);
    table.set_borrowed(arena, "columnDefinitions", Json{});
    Json& rows = table.set_borrowed(arena, "rows", Json::array());
    rows.push(arena, make_row(cell_printers(kind), object, include, api_version, now, arena));
    return table;
}

// Two or three figures, more of the smaller unit the shorter the time.
std::string human_duration(Duration duration) {
    const int64_t seconds = duration / 1s;
    if (seconds < -1) return "<invalid>";   // clocks may differ by that much
    if (seconds < 0) return "0s";
    const auto with = [](int64_t count, std::string_view unit, int64_t rest,
                         std::string_view rest_unit) {
        return rest == 0 ? concat(count, unit) : concat(count, unit, rest, rest_unit);
    };
    const int64_t minutes = seconds / 60;
    const int64_t hours = minutes / 60;
    const int64_t days = hours / 24;
    const int64_t years = days / 365;
    if (seconds < 120) return concat(seconds, "s");
    if (minutes < 10) return with(minutes, "m", seconds % 60, "s");
    if (minutes < 180) return concat(minutes, "m");
    if (hours < 8) return with(hours, "h", minutes % 60, "m");
    if (hours < 48) return concat(hours, "h");
    if (days < 8) return with(days, "d", hours % 24, "h");
    if (years < 2) return concat(days, "d");
    return years < 8 ? with(years, "y", days % 365, "d") : concat(years, "y");
}

}   // namespace skiff::api
