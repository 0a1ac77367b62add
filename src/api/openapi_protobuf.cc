// OpenAPI version 2 as protobuf: the messages of gnostic's OpenAPIv2.proto, which kubectl before
// 1.27 reads. Made from the same trees as the JSON.
#include "api/openapi_parts.h"
#include "codec/protobuf.h"

namespace skiff::api::openapi {
namespace {

using codec::Json;
using codec::ProtoWriter;

void text_field(ProtoWriter& writer, uint32_t number, const Json* value) {
    if (value && value->is_string()) writer.text(number, value->as_string());
}

// gnostic's Any holds YAML; JSON is YAML.
void any_field(ProtoWriter& writer, uint32_t number, const Json* value) {
    if (!value) return;
    writer.message(number, [&] { writer.text(2, codec::to_json(*value) + "\n"); });
}

void extensions(ProtoWriter& writer, uint32_t number, const Json& object) {
    for (const auto& [key, value] : object.members()) {
        if (!key.starts_with("x-")) continue;
        writer.message(number, [&] {
            writer.text(1, key);
            any_field(writer, 2, &value);
        });
    }
}

void schema(ProtoWriter& writer, const Json& value) {
    text_field(writer, 1, value.find("$ref"));
    text_field(writer, 2, value.find("format"));
    text_field(writer, 4, value.find("description"));
    any_field(writer, 5, value.find("default"));
    if (const Json* required = value.find("required"))
        for (const Json& name : required->items()) writer.text(19, name.text());
    if (const Json* values = value.find("enum"))
        for (const Json& item : values->items()) any_field(writer, 20, &item);
    if (const Json* inner = value.find("additionalProperties"))
        writer.message(21, [&] { writer.message(1, [&] { schema(writer, *inner); }); });
    if (const Json* type = value.find("type"))
        writer.message(22, [&] { writer.text(1, type->text()); });
    if (const Json* items = value.find("items"))
        writer.message(23, [&] { writer.message(1, [&] { schema(writer, *items); }); });
    if (const Json* properties = value.find("properties")) {
        writer.message(25, [&] {
            for (const auto& [name, property] : properties->members()) {
                writer.message(1, [&] {
                    writer.text(1, name);
                    writer.message(2, [&] { schema(writer, property); });
                });
            }
        });
    }
    extensions(writer, 31, value);
}

// ParametersItem.parameter.{body_parameter, non_body_parameter.{query, path}}.
void parameter(ProtoWriter& writer, uint32_t number, const Json& value) {
    const auto place = value.text_at({"in"});
    const Json* required = value.find("required");
    const bool needed = required && required->is_bool() && required->as_bool();
    const auto body = [&] {
        text_field(writer, 2, value.find("name"));
        text_field(writer, 3, value.find("in"));
        if (needed) writer.boolean(4, true);
        if (const Json* inner = value.find("schema"))
            writer.message(5, [&] { schema(writer, *inner); });
    };
    const bool query = place == "query";
    const auto plain = [&] {
        if (needed) writer.boolean(1, true);
        text_field(writer, 2, value.find("in"));
        text_field(writer, 3, value.find("description"));
        text_field(writer, 4, value.find("name"));
        text_field(writer, query ? 6 : 5, value.find("type"));
        writer.boolean(query ? 20 : 19, true);   // uniqueItems
    };
    writer.message(number, [&] {
        writer.message(1, [&] {
            if (place == "body")
                writer.message(1, body);
            else
                writer.message(2, [&] { writer.message(query ? 3 : 4, plain); });
        });
    });
}

void texts(ProtoWriter& writer, uint32_t number, const Json* list) {
    if (!list) return;
    for (const Json& item : list->items()) writer.text(number, item.text());
}

void operation(ProtoWriter& writer, const Json& value) {
    texts(writer, 1, value.find("tags"));
    text_field(writer, 3, value.find("description"));
    text_field(writer, 5, value.find("operationId"));
    texts(writer, 6, value.find("produces"));
    texts(writer, 7, value.find("consumes"));
    if (const Json* parameters = value.find("parameters"))
        for (const Json& item : parameters->items()) parameter(writer, 8, item);
    const Json* responses = value.find("responses");
    writer.message(9, [&] {
        if (!responses) return;
        for (const auto& [code, response] : responses->members()) {
            const auto named = [&] {
                text_field(writer, 1, response.find("description"));
                if (const Json* inner = response.find("schema"))
                    writer.message(2, [&] { writer.message(1, [&] { schema(writer, *inner); }); });
            };
            writer.message(1, [&] {
                writer.text(1, code);
                writer.message(2, [&] { writer.message(1, named); });
            });
        }
    });
    texts(writer, 10, value.find("schemes"));
    extensions(writer, 13, value);
}

}   // namespace

void write_schema_protobuf(const Json& value, std::string& out) {
    ProtoWriter writer{out};
    schema(writer, value);
}

void write_path_item_protobuf(const Json& item, std::string& out) {
    ProtoWriter writer{out};
    constexpr struct {
        std::string_view method;
        uint32_t number;
    } methods[] = {{"get", 2}, {"put", 3}, {"post", 4}, {"delete", 5}, {"patch", 8}};
    for (const auto& [method, number] : methods)
        if (const Json* found = item.find(method))
            writer.message(number, [&] { operation(writer, *found); });
    if (const Json* parameters = item.find("parameters"))
        for (const Json& value : parameters->items()) parameter(writer, 9, value);
}

}   // namespace skiff::api::openapi
