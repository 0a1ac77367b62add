#include "apiserver/body.h"

#include "api/normalize.h"
#include "api/table.h"
#include "apiserver/status.h"
#include "base/text.h"
#include "codec/protobuf.h"
#include "codec/yaml.h"

namespace skiff::apiserver {
namespace {

std::string media_type(const net::Headers& headers) {
    const auto header = headers.find("content-type");
    if (!header) return {};
    return lower(trim(cut(*header, ';').first));
}

struct Decoded {
    Document document;
    std::string api_version;
    std::string kind;
    std::vector<std::string> duplicates;
};

void take_type(Decoded& decoded) {
    auto& root = decoded.document.root;
    if (const auto* value = root.find("apiVersion")) decoded.api_version = value->text();
    if (const auto* value = root.find("kind")) decoded.kind = value->text();
    root.remove("apiVersion");
    root.remove("kind");
}

Result<Decoded> decode_protobuf_body(const Call& call, const api::Message& message) {
    Decoded decoded;
    TRY(const auto envelope, codec::open_kubernetes_envelope(call.request.body));
    decoded.api_version = envelope.apiVersion;
    decoded.kind = envelope.kind;
    TRY(decoded.document.root, api::decode_protobuf(message, envelope.raw, decoded.document.arena));
    return decoded;
}

Result<Decoded> decode(const Call& call, const api::Message& message) {
    TRY_OK(refuse_compressed(call.request.headers));
    const auto type = media_type(call.request.headers);
    if (type == "application/vnd.kubernetes.protobuf") return decode_protobuf_body(call, message);
    Decoded decoded;
    codec::ParseOptions options{.duplicate_keys = &decoded.duplicates};
    if (type == "application/yaml") {
        TRY(decoded.document, codec::parse_yaml(call.request.body, options));
    } else if (type.empty() || type == "application/json") {
        TRY(decoded.document, codec::parse_json(call.request.body, options));
    } else {
        return fail(Reason::UnsupportedMediaType,
                    concat("the body of the request was in an unknown format '", type,
                           "' - accepted media types include: application/json, application/yaml, "
                           "application/vnd.kubernetes.protobuf"));
    }
    if (!decoded.document.root.is_object()) {
        return fail(Reason::BadRequest, concat("couldn't get version/kind; json parse error: "
                                               "the body must be a JSON object"));
    }
    take_type(decoded);
    return decoded;
}

Result<> check_type(const Decoded& decoded, const api::Kind& kind) {
    const auto want = api_version_of(kind.group, kind.version);
    if (!decoded.kind.empty() && decoded.kind != kind.kind) {
        return fail(Reason::BadRequest, concat(decoded.kind, " in version \"", decoded.api_version,
                                               "\" cannot be handled as a ", kind.kind));
    }
    if (!decoded.api_version.empty() && decoded.api_version != want) {
        return fail(Reason::BadRequest,
                    concat("the API version in the data (", decoded.api_version,
                           ") does not match the expected API version (", want, ")"));
    }
    return {};
}

}   // namespace

Result<> refuse_compressed(const net::Headers& headers) {
    const auto coding = headers.find("content-encoding");
    if (!coding || coding->empty() || iequals(trim(*coding), "identity")) return {};
    return fail(Reason::UnsupportedMediaType,
                concat("the body of the request has the content encoding '", *coding,
                       "': bodies are taken as they are, without one"));
}

Result<> check_fields(Call& call, const api::Kind& kind, Document& document,
                      const std::vector<std::string>& duplicates, std::string_view patch_note) {
    api::NormalizeReport report;
    if (auto done = api::normalize(*kind.message, document.root, document.arena, report); !done) {
        auto error = std::move(done).error();
        error.message = concat(kind.kind, " in version \"", kind.version,
                               "\" cannot be handled as a ", kind.kind, ": ", error.message);
        return std::unexpected{std::move(error)};
    }
    if (call.options.field_validation == FieldValidation::Ignore) return {};
    std::vector<std::string> problems;
    for (const auto& path : duplicates)
        problems.push_back(concat("duplicate field \"", path, "\""));
    for (const auto& path : report.unknown_fields)
        problems.push_back(concat("unknown field \"", path, "\""));
    if (problems.empty()) return {};
    if (call.options.field_validation == FieldValidation::Warn) {
        for (auto& problem : problems) call.warnings.push_back(std::move(problem));
        return {};
    }
    const auto text = concat("strict decoding error: ", join(problems, ", "));
    if (!patch_note.empty()) return fail(Reason::BadRequest, concat(patch_note, text));
    return fail(Reason::BadRequest, concat(kind.kind, " in version \"", kind.version,
                                           "\" cannot be handled as a ", kind.kind, ": ", text));
}

Result<Document> decode_body(Call& call, const api::Kind& kind) {
    TRY(auto decoded, decode(call, *kind.message));
    TRY_OK(check_type(decoded, kind));
    TRY_OK(check_fields(call, kind, decoded.document, decoded.duplicates));
    if (call.audit) {
        const auto name = metadata_text(decoded.document.root, "name");
        call.audit->object_name = name;
        if (call.audit->decision.level >= AuditLevel::Request)
            call.audit->request_object = codec::to_json(decoded.document.root);
    }
    return std::move(decoded.document);
}

Result<Document> decode_options(Call& call, const api::Message& message) {
    if (call.request.body.empty()) return Document{.arena = {}, .root = Json::object()};
    TRY(auto decoded, decode(call, message));
    api::NormalizeReport report;
    TRY_OK(api::normalize(message, decoded.document.root, decoded.document.arena, report));
    return std::move(decoded.document);
}

Result<Document> served_tree(const ServedResource& resource, const store::Object& object) {
    TRY(auto document, parse_current(object));
    if (resource.kind != resource.stored)
        TRY_OK(api::from_stored(*resource.kind, document.root, document.arena));
    return document;
}

Result<Slice> served_bytes(const ServedResource& resource, const Bytes& stored_text) {
    if (resource.kind == resource.stored) return Slice{stored_text};
    TRY(auto document, codec::parse_json(stored_text));
    TRY_OK(api::from_stored(*resource.kind, document.root, document.arena));
    return Slice{Bytes{codec::to_json(document.root)}};
}

Json partial_metadata(const Json& object, std::string_view meta_version, Arena& arena) {
    auto partial = Json::object();
    partial.set_borrowed(arena, "kind", Json::borrowed("PartialObjectMetadata"));
    partial.set_borrowed(
        arena, "apiVersion",
        Json::borrowed(meta_version == "v1beta1" ? "meta.k8s.io/v1beta1" : "meta.k8s.io/v1"));
    const auto* metadata = metadata_of(object);
    partial.set_borrowed(arena, "metadata", metadata ? *metadata : Json::object());
    return partial;
}

Result<std::string> in_envelope(const api::Message& message, std::string_view api_version,
                                std::string_view kind, const Json& tree) {
    std::string content;
    TRY_OK(api::encode_protobuf(message, tree, content));
    std::string out;
    codec::append_kubernetes_envelope(out, api_version, kind,
                                      [&](auto& writer) { writer.out() += content; });
    return out;
}

net::Response encoded(const Call& call, int status, const Json& tree, const api::Kind* kind) {
    using Encoding = Negotiated::Encoding;
    if (call.accepted.encoding == Encoding::Yaml) {
        auto response = json_response(status, codec::to_yaml(tree));
        response.headers.set("content-type", "application/yaml");
        return response;
    }
    if (call.accepted.encoding == Encoding::Protobuf && kind) {
        auto out = in_envelope(*kind->message, api_version_of(kind->group, kind->version),
                               kind->kind, tree);
        if (!out) return error_response(out.error());
        auto response = json_response(status, std::move(*out));
        response.headers.set("content-type", "application/vnd.kubernetes.protobuf");
        return response;
    }
    if (call.options.pretty) {
        std::string out;
        codec::write_json_pretty(tree, out);
        return json_response(status, std::move(out));
    }
    return json_response(status, codec::to_json(tree));
}

namespace {

api::IncludeObject include_of(const Call& call) {
    if (call.options.include_object == "None") return api::IncludeObject::None;
    if (call.options.include_object == "Object") return api::IncludeObject::Object;
    return api::IncludeObject::Metadata;
}

}   // namespace

void answer_tree(Call& call, int status, const api::Kind& kind, Json& object, Arena& arena,
                 WallTime now) {
    using Form = Negotiated::Form;
    auto typed = Json::object();
    typed.set_borrowed(arena, "kind", Json::borrowed(kind.kind));
    typed.set(arena, "apiVersion", Json::string(arena, api_version_of(kind.group, kind.version)));
    for (const auto& member : object.members())
        if (member.key != "kind" && member.key != "apiVersion")
            typed.set_borrowed(arena, member.key, member.value);
    if (call.accepted.form == Form::Table) {
        const auto table = api::make_table(kind, {&typed, 1}, include_of(call),
                                           concat("meta.k8s.io/", call.accepted.meta_version),
                                           metadata_text(typed, "resourceVersion"), now, arena);
        return call.answer(encoded(call, status, table, nullptr));
    }
    if (call.accepted.form == Form::PartialObjectMetadata) {
        const auto partial = partial_metadata(typed, call.accepted.meta_version, arena);
        return call.answer(encoded(call, status, partial, nullptr));
    }
    call.answer(encoded(call, status, typed, &kind));
}

void answer_object(Call& call, int status, const store::ObjectPtr& object, WallTime now) {
    const auto& resource = *call.resource;
    const bool plain = call.accepted.form == Negotiated::Form::Object &&
                       call.accepted.encoding == Negotiated::Encoding::Json && !call.options.pretty;
    if (plain && resource.kind == resource.stored) {
        net::Response response{.status = status};
        response.headers.add("content-type", "application/json");
        response.body.emplace_back(object->text);
        return call.answer(std::move(response));
    }
    auto document = served_tree(resource, *object);
    if (!document) return call.fail(document.error());
    answer_tree(call, status, *resource.kind, document->root, document->arena, now);
}

}   // namespace skiff::apiserver
